import type { Replica, Usage as Used } from "@/api/types";
import { size } from "@/ui/size";
import { Cell } from "@/ui/table";

interface Props {
  replica: Replica;
  usage: Used | undefined;
}

/** What a replica uses now: two cells of its row. */
export function Usage({ replica: { observed, intent }, usage }: Props) {
  const runs = observed.type === "healthy" && intent.type !== "keep";
  const missing = runs ? "…" : "–";
  const shown = runs ? usage : undefined;
  return (
    <>
      <Cell className="text-right whitespace-nowrap tabular-nums">
        {shown === undefined ? missing : `${shown.cpu_percent.toFixed(1)} %`}
      </Cell>
      <Cell className="text-right whitespace-nowrap tabular-nums">
        {shown === undefined ? missing : size(shown.memory_bytes)}
        {shown !== undefined && shown.memory_limit_bytes > 0 && (
          <span className="text-muted"> of {size(shown.memory_limit_bytes)}</span>
        )}
      </Cell>
    </>
  );
}
