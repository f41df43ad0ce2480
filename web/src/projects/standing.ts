import type { Environment } from "@/api/types";
import type { Tone } from "@/ui/badge";

interface Standing {
  tone: Tone;
  text: string;
}

/** How an environment is, in a word or two. */
export function standingOf(environment: Environment | undefined, disabled = false): Standing {
  if (disabled) return { tone: "warn", text: "Disabled" };
  if (environment?.current === null || environment?.current === undefined) {
    return { tone: "calm", text: "Not deployed" };
  }
  const { replicas, healthy_replicas: healthy, lacking } = environment;
  if (lacking !== null && lacking !== undefined) return { tone: "warn", text: "Lacks room" };
  if (replicas === 0 || healthy >= replicas) return { tone: "good", text: "Live" };
  if (healthy === 0) return { tone: "bad", text: "Down" };
  return { tone: "warn", text: `${healthy} of ${replicas} replicas` };
}

/** The environment that people mean when they name none. */
export function productionOf(environments: readonly Environment[]): Environment | undefined {
  return environments.find(({ kind }) => kind.type === "production") ?? environments[0];
}
