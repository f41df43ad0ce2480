import { Field, TextField } from "@/ui/field";
import { FILE, type Kind, type Written } from "./kinds";

interface Props {
  kind: Kind;
  written: Written;
  onChange: (written: Written) => void;
}

/** What lets the cluster in at a provider. It is written, and never shown again. */
export function CredentialFields({ kind, written, onChange }: Props) {
  const set = (name: string, value: string) => onChange({ ...written, [name]: value });
  return (
    <fieldset className="space-y-4 rounded-md border border-line px-4 pb-4">
      <legend className="px-1 font-medium">Credentials</legend>
      <p className="!mt-1 text-muted">{kind.rights} Kept sealed; nobody is shown them again.</p>
      {kind.fields === null ? (
        <TextField
          label="Key file"
          required
          spellCheck={false}
          autoComplete="off"
          placeholder='{ "type": "service_account", "project_id": … }'
          className="text-xs"
          value={written[FILE] ?? ""}
          onChange={(event) => set(FILE, event.target.value)}
        />
      ) : (
        kind.fields.map(({ name, label, hint, placeholder, secret, optional }) => (
          <Field
            key={name}
            label={optional === true ? `${label} (optional)` : label}
            hint={hint}
            placeholder={placeholder}
            type={secret === true ? "password" : "text"}
            autoComplete={secret === true ? "new-password" : "off"}
            spellCheck={false}
            required={optional !== true}
            value={written[name] ?? ""}
            onChange={(event) => set(name, event.target.value)}
          />
        ))
      )}
    </fieldset>
  );
}
