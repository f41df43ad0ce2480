import type { Placement } from "@/api/types";

/** How full a node is, in percent of what it has for replicas. */
export interface Fill {
  taken: number;
  kept: number;
}

const percent = (part: number, all: number) => (all === 0 ? 0 : Math.min(100, (100 * part) / all));

/** How much of a node's memory or processors is asked for; nothing where its machine is not known. */
export function fill(of: "memory_mib" | "cpu_millis", placement: Placement): Fill | undefined {
  const { offered, taken, kept } = placement;
  if (offered == null) return undefined;
  const used = percent(taken[of], offered[of]);
  return { taken: used, kept: Math.min(100 - used, percent(kept[of], offered[of])) };
}
