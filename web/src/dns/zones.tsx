import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { RefreshCw } from "lucide-react";
import type { DnsZone } from "@/api/types";
import { Ago } from "@/ui/ago";
import { Badge } from "@/ui/badge";
import { Button, buttonClasses } from "@/ui/button";
import { Card } from "@/ui/card";
import { CopyButton } from "@/ui/copy";
import { Empty } from "@/ui/empty";
import { Loaded } from "@/ui/loading";
import { ProblemNote, sentence } from "@/ui/problem-note";
import { Cell, Table } from "@/ui/table";
import { lookAtZone, zonesQuery } from "./queries";
import { zoneStatus } from "./zone-status";

/** The zones that the nodes answer for themselves, and exactly what to change above them. */
export function Zones() {
  const query = useQuery(zonesQuery);
  return (
    <Card
      title="Zones"
      about="Names that the nodes answer for themselves: all below them leads to edges that live."
      actions={
        <Link to="/settings" hash="addresses" className={buttonClasses()}>
          Change the zones
        </Link>
      }
    >
      <Loaded query={query}>
        {(zones) =>
          zones.length === 0 ? (
            <Empty title="No zones yet">
              <p>
                Hand a zone such as apps.example.com over to the nodes, and no provider is needed for names
                below it. Nodes answer where they were started with --dns.
              </p>
            </Empty>
          ) : (
            <ul className="divide-y divide-line">
              {zones.map((zone) => (
                <Item key={zone.zone} zone={zone} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}

function Item({ zone }: { zone: DnsZone }) {
  const { tone, text, about } = zoneStatus(zone);
  const queries = useQueryClient();
  const look = useMutation({
    mutationFn: () => lookAtZone(zone.zone),
    onSuccess: (seen) =>
      queries.setQueryData(zonesQuery.queryKey, (zones) =>
        zones?.map((one) => (one.zone === seen.zone ? seen : one)),
      ),
  });
  return (
    <li className="space-y-3 py-3">
      <div className="flex flex-wrap items-start gap-3 px-4">
        <div className="min-w-0 flex-1 basis-64 space-y-1">
          <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <span className="font-medium break-all">{zone.zone}</span>
            <Badge tone={tone}>{text}</Badge>
          </p>
          <p className="text-muted">
            {about}
            {zone.looked_at != null && (
              <>
                {" "}
                Looked at <Ago at={zone.looked_at} />
                {zone.by_parent ? ", at the servers of the zone above." : "."}
              </>
            )}
          </p>
          {zone.error != null && <p className="text-bad">{sentence(zone.error)}</p>}
        </div>
        <Button busy={look.isPending} onClick={() => look.mutate()}>
          <RefreshCw aria-hidden /> Look now
        </Button>
      </div>
      {look.error !== null && (
        <div className="px-4">
          <ProblemNote error={look.error} />
        </div>
      )}
      {zone.faults.length > 0 && (
        <ul className="list-disc space-y-1 px-4 pl-9">
          {zone.faults.map(({ server, address, why }) => (
            <li key={`${server} ${address} ${why}`}>
              <span className="font-mono text-[0.8125rem]">
                {server}
                {address != null && ` (${address})`}
              </span>
              : {why}
            </li>
          ))}
        </ul>
      )}
      <Records zone={zone.zone} title="Delete at the zone above" records={zone.remove} />
      <Records zone={zone.zone} title="Create at the zone above" records={zone.add} />
    </li>
  );
}

interface RecordsProps {
  zone: string;
  title: string;
  records: DnsZone["add"];
}

function Records({ zone, title, records }: RecordsProps) {
  if (records.length === 0) return null;
  return (
    <section>
      <h3 className="px-4 pb-1 font-medium">{title}</h3>
      <Table label={`${title}: ${zone}`} columns={["Type", "Name", "Value"]}>
        {records.map(({ type, name, value }) => (
          <tr key={`${type} ${name} ${value}`} className="font-mono text-[0.8125rem] whitespace-nowrap">
            <Cell>{type}</Cell>
            <Cell>
              <span className="inline-flex items-center gap-1">
                {name} <CopyButton text={name} what="the name" />
              </span>
            </Cell>
            <Cell>
              <span className="inline-flex items-center gap-1">
                {value} <CopyButton text={value} what="the value" />
              </span>
            </Cell>
          </tr>
        ))}
      </Table>
    </section>
  );
}
