import { useQuery } from "@tanstack/react-query";
import type { Replica } from "@/api/types";
import { size } from "@/ui/size";
import { Cell } from "@/ui/table";
import { usageQuery } from "./queries";

interface Props {
  project: string;
  environment: string;
  replica: Replica;
}

/** What a replica uses now: two cells of its row. */
export function Usage({ project, environment, replica: { id, observed, intent } }: Props) {
  const runs = observed.type === "healthy" && intent.type !== "keep";
  const query = useQuery({ ...usageQuery(project, environment, id), enabled: runs });
  // What it used before it stopped, or before its node fell silent, is not what it uses.
  const usage = runs && !query.isError ? query.data : undefined;
  const missing = runs && query.isPending ? "…" : "–";
  return (
    <>
      <Cell className="text-right whitespace-nowrap tabular-nums">
        {usage === undefined ? missing : `${usage.cpu_percent.toFixed(1)} %`}
      </Cell>
      <Cell className="text-right whitespace-nowrap tabular-nums">
        {usage === undefined ? missing : size(usage.memory_bytes)}
        {usage !== undefined && usage.memory_limit_bytes > 0 && (
          <span className="text-muted"> of {size(usage.memory_limit_bytes)}</span>
        )}
      </Cell>
    </>
  );
}
