import { useState } from "react";
import { useChange } from "@/api/use-change";
import { Ago } from "@/ui/ago";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { FormDialog } from "@/ui/form-dialog";
import { addCertificate } from "./queries";

/** Takes a certificate with its key; what no browser would believe is refused, with the reason. */
export function BringCertificate({ onClose }: { onClose: () => void }) {
  const [chain, setChain] = useState("");
  const [key, setKey] = useState("");
  const call = useChange(
    () => addCertificate(chain, key),
    ["certificates", "domains"],
    ({ warnings }) => (warnings.length === 0 ? onClose() : undefined),
  );
  const added = call.data;
  if (added !== undefined && added.warnings.length > 0)
    return (
      <Dialog title="The certificate was taken" onClose={onClose}>
        <p>
          The edges show it for {added.names.join(", ")}. It ends <Ago at={added.not_after} />.
        </p>
        <ul className="list-disc space-y-1 pl-5 text-warn">
          {added.warnings.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
        <div className="flex justify-end">
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        </div>
      </Dialog>
    );
  return (
    <FormDialog title="Bring a certificate" action="Bring it" call={call} onClose={onClose}>
      <Pem
        label="Certificate"
        hint="In PEM, with those that vouch for it after it: authorities mostly call the file fullchain.pem."
        placeholder="-----BEGIN CERTIFICATE-----"
        value={chain}
        onChange={setChain}
      />
      <Pem
        label="Private key"
        hint="In PEM. It is kept sealed, and nobody is shown it again."
        placeholder="-----BEGIN PRIVATE KEY-----"
        value={key}
        onChange={setKey}
      />
    </FormDialog>
  );
}

interface PemProps {
  label: string;
  hint: string;
  placeholder: string;
  value: string;
  onChange: (value: string) => void;
}

/** A text in PEM, pasted or read from a file. */
function Pem({ label, onChange, ...rest }: PemProps) {
  return (
    <div className="space-y-2">
      <TextField
        label={label}
        required
        spellCheck={false}
        autoComplete="off"
        className="!min-h-24 text-xs"
        {...rest}
        onChange={(event) => onChange(event.target.value)}
      />
      <input
        type="file"
        aria-label={`File with the ${label.toLowerCase()}`}
        accept=".pem,.crt,.cer,.key,.txt"
        className="block w-full text-muted file:mr-3 file:rounded-md file:border file:border-line file:bg-surface file:px-3 file:py-1.5 file:font-medium file:text-ink"
        onChange={(event) => void event.target.files?.[0]?.text().then(onChange)}
      />
    </div>
  );
}
