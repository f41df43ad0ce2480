import type { Replica } from "@/api/types";
import type { Tone } from "@/ui/badge";

/** What its node sees of a replica, in words. */
export const OBSERVED: Record<Replica["observed"]["type"], { tone: Tone; text: string }> = {
  pending: { tone: "busy", text: "Pending" },
  starting: { tone: "busy", text: "Starting" },
  healthy: { tone: "good", text: "Healthy" },
  unhealthy: { tone: "bad", text: "Unhealthy" },
  down: { tone: "bad", text: "Down" },
};

/** What a replica is wanted for, in words. */
export const INTENTS: Record<Replica["intent"]["type"], string> = {
  serve: "serves",
  drain: "ends what it serves",
  keep: "ready for rollback",
};
