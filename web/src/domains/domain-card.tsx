import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { RefreshCw, Trash2 } from "lucide-react";
import { useState } from "react";
import type { Domain } from "@/api/types";
import { useMay } from "@/session/permission";
import { Ago } from "@/ui/ago";
import { Badge, Tag } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/confirm";
import { CopyButton } from "@/ui/copy";
import { Loaded } from "@/ui/loading";
import { ProblemNote } from "@/ui/problem-note";
import { Cell, Table } from "@/ui/table";
import { deleteDomain, lookQuery, verifyDomain } from "./queries";
import { seen, statusShown } from "./status";

/** A domain: how it is, the records to create, and what each node sees of it. */
export function DomainCard({ domain }: { domain: Domain }) {
  const { name, status, environment, certificate, order, records } = domain;
  const may = useMay("write");
  const [deleting, setDeleting] = useState(false);
  const queries = useQueryClient();
  const look = useQuery(lookQuery(name));
  const verify = useMutation({
    mutationFn: () => verifyDomain(name),
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: ["look", name] });
      void queries.invalidateQueries({ queryKey: ["domains"] });
    },
  });
  const { tone, text } = statusShown(status);
  return (
    <Card
      title={
        <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <span className="break-all">{name}</span>
          <Badge tone={tone}>{text}</Badge>
          <Tag>{environment}</Tag>
        </span>
      }
      actions={
        may && (
          <>
            <Button busy={verify.isPending || look.isFetching} onClick={() => verify.mutate()}>
              <RefreshCw aria-hidden /> Look again
            </Button>
            <Button look="quiet" aria-label={`Delete ${name}`} onClick={() => setDeleting(true)}>
              <Trash2 aria-hidden />
            </Button>
          </>
        )
      }
    >
      <div className="space-y-4 py-4">
        {verify.error !== null && (
          <div className="px-4">
            <ProblemNote error={verify.error} />
          </div>
        )}
        {order?.error && <p className="px-4 text-bad">{order.error}</p>}
        {certificate && (
          <p className="px-4 text-muted">
            Certificate of {certificate.issuer}, ends <Ago at={certificate.not_after} />
          </p>
        )}
        {status !== "active" && records.length > 0 && <Records domain={name} records={records} />}
        <section>
          <h3 className="px-4 pb-1 font-medium">What each node sees</h3>
          <Loaded query={look}>
            {(looks) => (
              <ul className="space-y-1.5 px-4 pt-1">
                {looks.map((one) => {
                  const { tone, text } = seen(one);
                  return (
                    <li key={one.node} className="flex gap-4">
                      <Badge tone={tone}>{one.name}</Badge>
                      <span className="min-w-0 break-words">{text}</span>
                    </li>
                  );
                })}
              </ul>
            )}
          </Loaded>
        </section>
      </div>
      {deleting && <DeleteDomain name={name} onClose={() => setDeleting(false)} />}
    </Card>
  );
}

function Records({ domain, records }: { domain: string; records: Domain["records"] }) {
  return (
    <section>
      <h3 className="px-4 pb-1 font-medium">Create where {domain} is kept</h3>
      <Table label={`Records of ${domain}`} columns={["Type", "Name", "Value", "Why"]}>
        {records.map((record) => (
          <tr key={`${record.type} ${record.name} ${record.value}`}>
            <Cell className="font-mono text-[0.8125rem]">{record.type}</Cell>
            <Cell className="font-mono text-[0.8125rem] whitespace-nowrap">
              <span className="inline-flex items-center gap-1">
                {record.name} <CopyButton text={record.name} what="the name" />
              </span>
            </Cell>
            <Cell className="font-mono text-[0.8125rem] whitespace-nowrap">
              <span className="inline-flex items-center gap-1">
                {record.value} <CopyButton text={record.value} what="the value" />
              </span>
            </Cell>
            <Cell className="min-w-48 text-muted">
              {record.why} {!record.required && <Tag>optional</Tag>}
            </Cell>
          </tr>
        ))}
      </Table>
    </section>
  );
}

function DeleteDomain({ name, onClose }: { name: string; onClose: () => void }) {
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: () => deleteDomain(name),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["domains"] });
      onClose();
    },
  });
  return (
    <Confirm
      title={`Delete ${name}?`}
      name={name}
      action="Delete the domain"
      danger
      busy={call.isPending}
      error={call.error}
      onConfirm={() => call.mutate()}
      onClose={onClose}
    >
      <p>Who comes to {name} is served no more, and the certificate that the cluster got for it is gone.</p>
    </Confirm>
  );
}
