import type { ReactNode } from "react";
import type { Settings } from "@/api/types";
import { Card, CardBody } from "@/ui/card";
import { Check, Field, TextField } from "@/ui/field";
import { words } from "@/ui/words";
import { BOUNDS } from "./edge-fields";

interface Props {
  draft: Settings;
  onChange: (draft: Settings) => void;
}

export function Addresses({ draft, onChange }: Props) {
  const { dns } = draft;
  return (
    <div id="addresses" className="scroll-mt-6">
      <Card title="Addresses of apps">
        <CardBody className="grid gap-4 sm:grid-cols-2">
          <Field
            label="Preview domain"
            hint="Every app has a name below it."
            value={draft.preview_domain}
            onChange={(event) => onChange({ ...draft, preview_domain: event.target.value })}
          />
          <Field
            label="Zones"
            hint="Names that the nodes answer for in the DNS, with a space between them."
            defaultValue={dns.zones.join(" ")}
            onChange={(event) => onChange({ ...draft, dns: { ...dns, zones: words(event.target.value) } })}
          />
        </CardBody>
      </Card>
    </div>
  );
}

export function Authority({ draft, onChange }: Props) {
  const { acme } = draft;
  const change = (part: Partial<Settings["acme"]>) => onChange({ ...draft, acme: { ...acme, ...part } });
  return (
    <Card title="Certificates" about="Who gives them for domains, by ACME.">
      <CardBody className="grid gap-4 sm:grid-cols-2">
        <div className="sm:col-span-2">
          <Check
            label="Get certificates for domains"
            hint="From the authority below, renewed in time."
            checked={acme.enabled}
            onChange={(event) => change({ enabled: event.target.checked })}
          />
        </div>
        <Field
          label="Authority"
          value={acme.directory}
          onChange={(event) => change({ directory: event.target.value })}
        />
        <Field
          label="E-mail address for the authority"
          type="email"
          value={acme.email}
          onChange={(event) => change({ email: event.target.value })}
        />
      </CardBody>
      <More title="An account there, and a root of its own">
        <Field
          label="Id of the account’s key"
          hint="For authorities that want an account (external account binding)."
          autoComplete="off"
          value={acme.eab_key_id}
          onChange={(event) => change({ eab_key_id: event.target.value })}
        />
        <Field
          label="The account’s key"
          type="password"
          autoComplete="new-password"
          hint="Not shown again. Empty leaves the one that was given for the same id."
          value={acme.eab_key}
          onChange={(event) => change({ eab_key: event.target.value })}
        />
        <div className="sm:col-span-2">
          <TextField
            label="Certificates that the directory is trusted by"
            hint="In PEM; the usual ones where it is empty."
            className="!min-h-20 text-xs"
            spellCheck={false}
            value={acme.root}
            onChange={(event) => change({ root: event.target.value })}
          />
        </div>
      </More>
    </Card>
  );
}

export function Builds({ draft, onChange }: Props) {
  const { build } = draft;
  const change = (part: Partial<Settings["build"]>) => onChange({ ...draft, build: { ...build, ...part } });
  return (
    <Card title="Builds" about="Bounds for each of them; 0 of processor or memory is half of the node’s.">
      <CardBody className="grid gap-4 sm:grid-cols-2">
        <Field
          label="Builds at once on each node"
          type="number"
          min={1}
          value={build.at_once}
          onChange={(event) => change({ at_once: Number(event.target.value) })}
        />
        <Field
          label="Seconds that a build may take"
          type="number"
          min={1}
          value={build.timeout_seconds}
          onChange={(event) => change({ timeout_seconds: Number(event.target.value) })}
        />
        <Field
          label="Thousandths of a processor"
          type="number"
          min={0}
          value={build.cpu_millis}
          onChange={(event) => change({ cpu_millis: Number(event.target.value) })}
        />
        <Field
          label="Mebibytes of memory"
          type="number"
          min={0}
          value={build.memory_mib}
          onChange={(event) => change({ memory_mib: Number(event.target.value) })}
        />
      </CardBody>
      <More title="Authorities that builds trust">
        <div className="sm:col-span-2">
          <TextField
            label="Certificates of authorities"
            hint="In PEM, besides those of the image."
            className="!min-h-20 text-xs"
            spellCheck={false}
            value={build.ca_certificates}
            onChange={(event) => change({ ca_certificates: event.target.value })}
          />
        </div>
      </More>
    </Card>
  );
}

export function Edge({ draft, onChange }: Props) {
  const { edge } = draft;
  const change = (part: Partial<Settings["edge"]>) => onChange({ ...draft, edge: { ...edge, ...part } });
  return (
    <Card title="Edge" about="How each node serves; every bound holds per node.">
      <CardBody className="grid gap-4 sm:grid-cols-2">
        <div className="sm:col-span-2">
          <Check
            label="Speak HTTP/3"
            hint="Where UDP gets through to HTTPS’ port."
            checked={edge.http3}
            onChange={(event) => change({ http3: event.target.checked })}
          />
        </div>
        <Field
          label="Trusted proxies"
          placeholder="10.0.0.0/8"
          hint="Networks of proxies in front, which are believed about whom a request comes from."
          spellCheck={false}
          defaultValue={edge.trusted_proxies.join(" ")}
          onChange={(event) => change({ trusted_proxies: words(event.target.value) })}
        />
        <div className="self-center">
          <Check
            label="They speak the PROXY protocol"
            hint="Every connection of theirs begins with its header."
            checked={edge.proxy_protocol}
            onChange={(event) => change({ proxy_protocol: event.target.checked })}
          />
        </div>
      </CardBody>
      <More title="Bounds of connections and requests">
        {BOUNDS.map(({ name, label, hint, min }) => (
          <Field
            key={name}
            label={label}
            hint={hint}
            type="number"
            min={min}
            value={edge[name]}
            onChange={(event) => change({ [name]: Number(event.target.value) })}
          />
        ))}
      </More>
    </Card>
  );
}

/** What few have to change. */
function More({ title, children }: { title: string; children: ReactNode }) {
  return (
    <details className="border-t border-line">
      <summary className="cursor-pointer px-4 py-2.5 text-muted -outline-offset-2 hover:text-ink">
        {title}
      </summary>
      <div className="grid gap-4 px-4 pt-1 pb-4 sm:grid-cols-2">{children}</div>
    </details>
  );
}
