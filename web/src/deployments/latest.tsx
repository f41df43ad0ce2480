import type { Environment } from "@/api/types";
import { Ago } from "@/ui/ago";
import { phaseShown } from "./phase";

/** An environment's newest deployment, in a line: however far it came. */
export function Latest({ latest }: { latest: NonNullable<Environment["latest"]> }) {
  const { text, tone } = phaseShown(latest.phase);
  return (
    <span>
      <span className="tabular-nums">#{latest.number}</span>{" "}
      <span className={tone === "bad" ? "text-bad" : undefined}>{text.toLowerCase()}</span>,{" "}
      <Ago at={latest.created_at} />
    </span>
  );
}
