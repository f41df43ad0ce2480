import { useState } from "react";
import type { DnsProvider } from "@/api/types";
import { Problem } from "@/api/problem";
import { useChange } from "@/api/use-change";
import { Check, Field } from "@/ui/field";
import { FormDialog } from "@/ui/form-dialog";
import { SelectField } from "@/ui/select-field";
import { words } from "@/ui/words";
import { CredentialFields } from "./credential-fields";
import { credentials, KINDS, kindOf, type Kind, type Written } from "./kinds";
import { addProvider, changeProvider } from "./queries";

const SHOWN = ["dns-providers", "status"];

function read(kind: Kind, written: Written): Record<string, string> {
  const found = credentials(kind, written);
  if (found !== undefined) return found;
  const why = "what was pasted is no JSON object";
  throw new Problem(-1, "no_json", "No key file", why, "paste the whole file, with its braces");
}

export function AddProvider({ onClose }: { onClose: () => void }) {
  const [type, setType] = useState("cloudflare");
  const [name, setName] = useState("");
  const [zones, setZones] = useState("");
  const [written, setWritten] = useState<Written>({});
  const [takesOver, setTakesOver] = useState(false);
  const kind = kindOf(type);
  const call = useChange(
    async () => {
      if (kind === undefined) return;
      const own = { credentials: read(kind, written), zones: words(zones), takes_over: takesOver };
      await addProvider({ name: name.trim() === "" ? type : name.trim(), type, ...own });
    },
    SHOWN,
    onClose,
  );
  return (
    <FormDialog title="Add a DNS provider" action="Add" call={call} onClose={onClose}>
      <SelectField
        label="Provider"
        value={type}
        options={KINDS}
        onChange={(value) => {
          setType(value);
          setWritten({});
        }}
      />
      <Field
        label="Name"
        placeholder={type}
        hint="What you call the account."
        autoComplete="off"
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <Zones zones={zones} onChange={setZones} />
      {kind !== undefined && <CredentialFields kind={kind} written={written} onChange={setWritten} />}
      <TakesOver checked={takesOver} onChange={setTakesOver} />
    </FormDialog>
  );
}

export function ChangeProvider({ provider, onClose }: { provider: DnsProvider; onClose: () => void }) {
  const [zones, setZones] = useState(provider.zones.join(" "));
  const [takesOver, setTakesOver] = useState(provider.takes_over);
  const [replacing, setReplacing] = useState(false);
  const [written, setWritten] = useState<Written>({});
  const kind = kindOf(provider.type);
  const call = useChange(
    async () => {
      const fresh = replacing && kind !== undefined ? { credentials: read(kind, written) } : {};
      await changeProvider(provider.id, { zones: words(zones), takes_over: takesOver, ...fresh });
    },
    SHOWN,
    onClose,
  );
  return (
    <FormDialog title={`Change ${provider.name}`} action="Save" call={call} onClose={onClose}>
      <Zones zones={zones} onChange={setZones} />
      <TakesOver checked={takesOver} onChange={setTakesOver} />
      <Check
        label="Replace the credentials"
        hint="Those that it has are not shown. The provider is asked before new ones take their place."
        checked={replacing}
        onChange={(event) => setReplacing(event.target.checked)}
      />
      {replacing && kind !== undefined && (
        <CredentialFields kind={kind} written={written} onChange={setWritten} />
      )}
    </FormDialog>
  );
}

function Zones({ zones, onChange }: { zones: string; onChange: (zones: string) => void }) {
  return (
    <Field
      label="Zones"
      placeholder="example.com example.net"
      hint="Those to keep records in, with a space between them."
      required
      spellCheck={false}
      autoComplete="off"
      value={zones}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

function TakesOver({ checked, onChange }: { checked: boolean; onChange: (checked: boolean) => void }) {
  return (
    <Check
      label="Take over records that are in the way"
      hint="Records which the cluster has not made give way to those of the preview domain and of verified domains."
      checked={checked}
      onChange={(event) => onChange(event.target.checked)}
    />
  );
}
