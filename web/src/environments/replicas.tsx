import { NodeName } from "@/cluster/node-name";
import type { Replica } from "@/api/types";
import { Ago } from "@/ui/ago";
import { Badge, Tag, type Tone } from "@/ui/badge";
import { Cell, Table } from "@/ui/table";

const OBSERVED: Record<Replica["observed"]["type"], { tone: Tone; text: string }> = {
  pending: { tone: "busy", text: "Pending" },
  starting: { tone: "busy", text: "Starting" },
  healthy: { tone: "good", text: "Healthy" },
  unhealthy: { tone: "bad", text: "Unhealthy" },
  down: { tone: "bad", text: "Down" },
};
const INTENTS: Record<Replica["intent"]["type"], string> = {
  serve: "serves",
  drain: "ends what it serves",
  keep: "ready for rollback",
};

/** The containers of a deployment or an environment, and where they run. */
export function Replicas({ replicas }: { replicas: readonly Replica[] }) {
  return (
    <Table label="Replicas" columns={["Replica", "State", "Task", "Node", "Since"]}>
      {replicas.map(({ id, observed, intent, node, container, created_at }) => (
        <tr key={id}>
          <Cell className="font-mono text-xs">{container ?? id}</Cell>
          <Cell>
            <Badge {...OBSERVED[observed.type]}>{OBSERVED[observed.type].text}</Badge>
            {"failure" in observed && <p className="mt-1 max-w-md text-muted">{observed.failure.message}</p>}
          </Cell>
          <Cell>
            <Tag>{INTENTS[intent.type]}</Tag>
          </Cell>
          <Cell>
            <NodeName id={node} />
          </Cell>
          <Cell className="text-muted">
            <Ago at={created_at} />
          </Cell>
        </tr>
      ))}
    </Table>
  );
}
