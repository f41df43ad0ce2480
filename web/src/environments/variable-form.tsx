import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Variable } from "@/api/types";
import { Check, Field, TextField } from "@/ui/field";
import { FormDialog } from "@/ui/form-dialog";
import { soundsSecret } from "./dotenv";
import { setVariables } from "./queries";

interface Props {
  project: string;
  environment: string;
  /** The one to change; none for a new one. */
  variable?: Variable;
  known: readonly Variable[];
  onClose: () => void;
}

export function VariableForm({ project, environment, variable, known, onClose }: Props) {
  const [name, setName] = useState(variable?.name ?? "");
  const [value, setValue] = useState(variable?.value ?? "");
  const [chosen, setChosen] = useState(variable?.secret);
  const secret = chosen ?? soundsSecret(name);
  const replaces = variable === undefined && known.some((one) => one.name === name);
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: () => setVariables(project, environment, [{ name, value, secret }]),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["variables"] });
      onClose();
    },
  });
  return (
    <FormDialog
      title={variable === undefined ? "Add a variable" : `Change ${variable.name}`}
      action="Set"
      call={call}
      onClose={onClose}
    >
      <Field
        label="Name"
        className="font-mono"
        hint={replaces ? "There is one of that name: its value is replaced, and kept nowhere." : undefined}
        required
        autoFocus={variable === undefined}
        readOnly={variable !== undefined}
        autoComplete="off"
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <TextField
        label="Value"
        className="!min-h-20"
        required={variable?.secret === true}
        hint={
          variable?.secret === true ? "The value it has is not shown; what you write replaces it." : undefined
        }
        spellCheck={false}
        value={value}
        onChange={(event) => setValue(event.target.value)}
      />
      <Check
        label="Secret"
        hint="Kept sealed; nobody is shown it again, and build logs mask it."
        checked={secret}
        onChange={(event) => setChosen(event.target.checked)}
      />
    </FormDialog>
  );
}
