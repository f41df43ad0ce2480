import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Scaling } from "lucide-react";
import { useState } from "react";
import type { Environment } from "@/api/types";
import { useMay } from "@/session/permission";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { FormDialog } from "@/ui/form-dialog";
import { scale } from "./queries";

/** Says how many replicas there shall be. A static site has none. */
export function ScaleButton({ project, environment }: { project: string; environment: Environment }) {
  const [open, setOpen] = useState(false);
  const may = useMay("write");
  if (!may || environment.replicas === 0) return null;
  return (
    <>
      <Button onClick={() => setOpen(true)}>
        <Scaling aria-hidden /> Scale
      </Button>
      {open && <ScaleDialog project={project} environment={environment} onClose={() => setOpen(false)} />}
    </>
  );
}

interface Props {
  project: string;
  environment: Environment;
  onClose: () => void;
}

function ScaleDialog({ project, environment, onClose }: Props) {
  const [count, setCount] = useState(String(environment.replicas));
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: () => scale(project, environment.name, Number(count)),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["projects"] });
      onClose();
    },
  });
  return (
    <FormDialog title={`Scale ${environment.name}`} action="Scale" call={call} onClose={onClose}>
      <Field
        label="Replicas"
        hint="They are spread over the nodes. Those that go first end what they serve."
        type="number"
        min={1}
        required
        value={count}
        onChange={(event) => setCount(event.target.value)}
      />
    </FormDialog>
  );
}
