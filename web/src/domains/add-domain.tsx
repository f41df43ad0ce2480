import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useProject } from "@/projects/project";
import { productionOf } from "@/projects/standing";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Select } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { createDomain } from "./queries";

export function AddDomain({ onClose }: { onClose: () => void }) {
  const project = useProject();
  const [name, setName] = useState("");
  const [environment, setEnvironment] = useState(productionOf(project.environments)?.name);
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: () => createDomain(project.name, environment, name.trim()),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["domains"] });
      onClose();
    },
  });
  return (
    <Dialog title="Add a domain" onClose={onClose}>
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          call.mutate();
        }}
      >
        <Field
          label="Name"
          placeholder="app.example.com"
          hint="A certificate is asked for once the name leads here. That agrees to the authority’s terms."
          required
          autoFocus
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        {project.environments.length > 1 && environment !== undefined && (
          <Select
            label="Environment"
            value={environment}
            options={project.environments.map((one) => ({ value: one.name, text: one.name }))}
            onChange={setEnvironment}
          />
        )}
        <ProblemNote error={call.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={call.isPending}>
            Add
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
