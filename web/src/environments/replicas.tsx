import { SquareTerminal } from "lucide-react";
import type { Replica, Usage as Used } from "@/api/types";
import { NodeName } from "@/cluster/node-name";
import { useMay } from "@/session/permission";
import { terminalUrl } from "@/terminal/place";
import { Ago } from "@/ui/ago";
import { Badge, Tag } from "@/ui/badge";
import { buttonClasses } from "@/ui/button";
import { Cell, Table } from "@/ui/table";
import { INTENTS, OBSERVED } from "./replica";
import { Usage } from "./usage";
import { UsageCharts } from "./usage-chart";
import { useUsage } from "./use-usage";

interface Props {
  project: string;
  environment: string;
  replicas: readonly Replica[];
}

/** The containers of a deployment or an environment, and where they run. */
export function Replicas({ project, environment, replicas }: Props) {
  const may = useMay("exec");
  const { newest, sums } = useUsage(project, environment);
  const columns = ["Replica", "State", "Task", "Node", "CPU", "Memory", "Since"];
  return (
    <>
      <Table label="Replicas" columns={may ? [...columns, ""] : columns} numbers={["CPU", "Memory"]}>
        {replicas.map((replica) => (
          <Row key={replica.id} usage={newest[replica.id]} {...{ project, environment, replica, may }} />
        ))}
      </Table>
      <UsageCharts sums={sums} />
    </>
  );
}

interface RowProps extends Omit<Props, "replicas"> {
  replica: Replica;
  /** Whether the user may run commands in it. */
  may: boolean;
  usage: Used | undefined;
}

function Row({ project, environment, replica, may, usage }: RowProps) {
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
      <Usage {...{ replica, usage }} />
      <Cell className="text-muted">
        <Ago at={created_at} />
      </Cell>
      {may && (
        <Cell className="text-right">
          {runs(replica) && (
            <a
              className={buttonClasses("quiet")}
              href={terminalUrl({ project, environment, replica: id })}
              target="_blank"
              rel="noreferrer"
              aria-label={`Terminal in ${container ?? id}`}
            >
              <SquareTerminal aria-hidden /> Terminal
            </a>
          )}
        </Cell>
      )}
    </tr>
  );
}

/** Whether there is a container that runs, in whatever state its app is. */
function runs({ observed, intent }: Replica): boolean {
  return observed.type !== "pending" && observed.type !== "down" && intent.type !== "keep";
}
