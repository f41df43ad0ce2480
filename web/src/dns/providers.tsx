import { useQuery } from "@tanstack/react-query";
import { Pencil, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import type { DnsProvider } from "@/api/types";
import { useChange } from "@/api/use-change";
import { useMay } from "@/session/permission";
import { Ago } from "@/ui/ago";
import { Badge, Tag } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/confirm";
import { Empty } from "@/ui/empty";
import { Loaded } from "@/ui/loading";
import { kindOf } from "./kinds";
import { AddProvider, ChangeProvider } from "./provider-form";
import { providersQuery, removeProvider } from "./queries";

type Asked = { what: "new" } | { what: "change" | "remove"; provider: DnsProvider };

/** Accounts where the cluster keeps the records of its names. */
export function Providers() {
  const query = useQuery(providersQuery);
  const may = useMay("admin");
  const [asked, setAsked] = useState<Asked>();
  const close = () => setAsked(undefined);
  return (
    <Card
      title="Providers"
      about="Accounts where the cluster keeps the records of its names, in step with the nodes that live."
      actions={
        may && (
          <Button onClick={() => setAsked({ what: "new" })}>
            <Plus aria-hidden /> Add a provider
          </Button>
        )
      }
    >
      <Loaded query={query}>
        {(providers) =>
          providers.length === 0 ? (
            <Empty title="No DNS providers yet">
              <p>
                With an account at Cloudflare, Route 53 and others, domains need no record by hand, and the
                address of a node that is lost is gone from them within seconds.
              </p>
            </Empty>
          ) : (
            <ul className="divide-y divide-line">
              {providers.map((provider) => (
                <Item
                  key={provider.id}
                  provider={provider}
                  onAsk={may ? (what) => setAsked({ what, provider }) : undefined}
                />
              ))}
            </ul>
          )
        }
      </Loaded>
      {asked?.what === "new" && <AddProvider onClose={close} />}
      {asked?.what === "change" && <ChangeProvider provider={asked.provider} onClose={close} />}
      {asked?.what === "remove" && <Remove provider={asked.provider} onClose={close} />}
    </Card>
  );
}

interface ItemProps {
  provider: DnsProvider;
  onAsk: ((what: "change" | "remove") => void) | undefined;
}

function Item({ provider, onAsk }: ItemProps) {
  const { name, type, zones, trouble, records, takes_over } = provider;
  return (
    <li className="flex items-start gap-4 px-4 py-3">
      <div className="min-w-0 flex-1 space-y-1">
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <span className="font-medium">{name}</span>
          <Badge tone={trouble ? "bad" : "good"}>{trouble ? "Trouble" : "In step"}</Badge>
          <Tag>{kindOf(type)?.text ?? type}</Tag>
          {takes_over && <Tag>takes over</Tag>}
        </p>
        <p className="break-words text-muted">{zones.join(", ")}</p>
        {trouble && (
          <p className="break-words">
            {trouble.error}{" "}
            <span className="text-muted">
              since <Ago at={trouble.since} />
            </span>
          </p>
        )}
        {records.length > 0 && (
          <details className="text-muted">
            <summary className="w-fit cursor-pointer py-1">
              {records.length === 1 ? "One set of records" : `${records.length} sets of records`} made by the
              cluster
            </summary>
            <ul className="max-h-60 overflow-auto py-1 font-mono text-[0.8125rem]" tabIndex={0}>
              {records.map((record) => (
                <li key={`${record.name} ${record.type}`} className="break-all">
                  {record.type.padEnd(4, "\u00a0")} {record.name}
                </li>
              ))}
            </ul>
          </details>
        )}
      </div>
      {onAsk !== undefined && (
        <div className="flex">
          <Button look="quiet" aria-label={`Change ${name}`} onClick={() => onAsk("change")}>
            <Pencil aria-hidden />
          </Button>
          <Button look="quiet" aria-label={`Remove ${name}`} onClick={() => onAsk("remove")}>
            <Trash2 aria-hidden />
          </Button>
        </div>
      )}
    </li>
  );
}

function Remove({ provider, onClose }: { provider: DnsProvider; onClose: () => void }) {
  const { id, name, records } = provider;
  const call = useChange(() => removeProvider(id), ["dns-providers", "status"], onClose);
  return (
    <Confirm
      title={`Remove ${name}?`}
      name={name}
      action="Remove the provider"
      danger
      busy={call.isPending}
      error={call.error}
      onConfirm={() => call.mutate()}
      onClose={onClose}
    >
      <p>
        The credentials are gone for ever.{" "}
        {records.length === 0 ? "Records" : `The ${records.length} sets of records`} there stay as they are,
        and nobody changes them any more: the address of a node that is lost stays in them, too.
      </p>
      <p>Certificates for wildcards in its zones can no longer be renewed.</p>
    </Confirm>
  );
}
