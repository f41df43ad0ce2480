import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useProject } from "@/projects/project";
import { productionOf } from "@/projects/standing";
import { Field, Select } from "@/ui/field";
import { FormDialog } from "@/ui/form-dialog";
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
    <FormDialog title="Add a domain" action="Add" call={call} onClose={onClose}>
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
    </FormDialog>
  );
}
