import { NodeName } from "@/cluster/node-name";
import type { Replica } from "@/api/types";
import { Ago } from "@/ui/ago";
import { Badge, Tag, type Tone } from "@/ui/badge";
import { Cell, Table } from "@/ui/table";
import { Usage } from "./usage";

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

interface Props {
  project: string;
  environment: string;
  replicas: readonly Replica[];
}

/** The containers of a deployment or an environment, and where they run. */
export function Replicas({ project, environment, replicas }: Props) {
  return (
    <Table
      label="Replicas"
      columns={["Replica", "State", "Task", "Node", "CPU", "Memory", "Since"]}
      numbers={["CPU", "Memory"]}
    >
      {replicas.map((replica) => (
        <Row key={replica.id} {...{ project, environment, replica }} />
      ))}
    </Table>
  );
}

function Row({ project, environment, replica }: Omit<Props, "replicas"> & { replica: Replica }) {
  const { id, observed, intent, node, container, created_at } = replica;
  return (
    <tr>
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
      <Usage {...{ project, environment, replica }} />
      <Cell className="text-muted">
        <Ago at={created_at} />
      </Cell>
    </tr>
  );
}
