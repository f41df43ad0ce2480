import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Node, PlacedReplica, Placement as OfNode } from "@/api/types";
import { INTENTS, OBSERVED } from "@/environments/replica";
import { Badge } from "@/ui/badge";
import { Card } from "@/ui/card";
import { classes } from "@/ui/classes";
import { Loaded } from "@/ui/loading";
import { placementQuery } from "./queries";
import { fill } from "./room";

/** Which replicas run where, and how full nodes are. */
export function Placement({ nodes }: { nodes: readonly Node[] }) {
  const query = useQuery(placementQuery);
  const name = (id: number) => nodes.find((node) => node.id === id)?.name ?? `node ${id}`;
  return (
    <Card
      title="Where replicas run"
      about="Bars show how much of a node's room replicas ask for; the lighter part is kept for rollbacks, and gives way."
    >
      <Loaded query={query}>
        {(placement) => (
          <ul className="divide-y divide-line">
            {placement.map((of) => (
              <li key={of.node} className="grid gap-3 px-4 py-3 md:grid-cols-[14rem_1fr]">
                <div className="space-y-2">
                  <h3 className="font-medium">{name(of.node)}</h3>
                  <Bar label="Memory" of="memory_mib" placement={of} />
                  <Bar label="CPU" of="cpu_millis" placement={of} />
                </div>
                <Replicas node={name(of.node)} replicas={of.replicas} />
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </Card>
  );
}

interface BarProps {
  label: string;
  of: "memory_mib" | "cpu_millis";
  placement: OfNode;
}

function Bar({ label, of, placement }: BarProps) {
  const filled = fill(of, placement);
  const text = filled === undefined ? "not known" : `${Math.round(filled.taken)} % asked for`;
  return (
    <div className="text-xs">
      <p className="flex justify-between gap-2 text-muted">
        <span>{label}</span>
        <span className="tabular-nums">{text}</span>
      </p>
      <div className="mt-1 flex h-1.5 overflow-hidden rounded-full bg-raised" aria-hidden>
        <div className="bg-accent" style={{ width: `${filled?.taken ?? 0}%` }} />
        <div className="bg-accent opacity-40" style={{ width: `${filled?.kept ?? 0}%` }} />
      </div>
    </div>
  );
}

function Replicas({ node, replicas }: { node: string; replicas: readonly PlacedReplica[] }) {
  if (replicas.length === 0) return <p className="text-muted">Nothing runs here.</p>;
  return (
    <ul className="flex flex-wrap content-start gap-2" aria-label={`Replicas on ${node}`}>
      {replicas.map((replica) => (
        <li key={replica.id}>
          <Chip replica={replica} />
        </li>
      ))}
    </ul>
  );
}

function Chip({ replica }: { replica: PlacedReplica }) {
  const { project, environment, number, observed, intent } = replica;
  const { tone, text } = OBSERVED[observed.type];
  const kept = intent.type === "keep";
  return (
    <Link
      to="/projects/$project"
      params={{ project }}
      search={{ env: environment }}
      title={`${INTENTS[intent.type]}, ${replica.container ?? replica.id}`}
      className={classes(
        "block rounded-md border border-line px-2.5 py-1.5 text-xs hover:bg-raised",
        kept && "border-dashed",
      )}
    >
      <span className="block font-medium">
        {project}{" "}
        <span className="font-normal text-muted">
          {environment} #{number}
        </span>
      </span>
      {kept ? <span className="text-muted">kept for a rollback</span> : <Badge tone={tone}>{text}</Badge>}
    </Link>
  );
}
