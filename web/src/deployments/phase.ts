import type { Deployment } from "@/api/types";
import type { Tone } from "@/ui/badge";

const UNDER_WAY = new Set(["queued", "building", "preparing", "starting"]);

interface Shown {
  tone: Tone;
  text: string;
}

const SHOWN: Record<string, Shown> = {
  queued: { tone: "busy", text: "Queued" },
  building: { tone: "busy", text: "Building" },
  preparing: { tone: "busy", text: "Preparing" },
  starting: { tone: "busy", text: "Starting" },
  live: { tone: "good", text: "Live" },
  kept: { tone: "calm", text: "Ready for rollback" },
  retired: { tone: "calm", text: "Retired" },
  failed: { tone: "bad", text: "Failed" },
  cancelled: { tone: "calm", text: "Cancelled" },
};

/** Whether a deployment is still on its way to being live. */
export function isUnderWay(phase: string): boolean {
  return UNDER_WAY.has(phase);
}

export function phaseShown(phase: string): Shown {
  return SHOWN[phase] ?? { tone: "calm", text: phase };
}

/** Whether a deployment came further than its build. */
export function wasBuilt({ history }: Pick<Deployment, "history">): boolean {
  return history.some(({ phase }) => phase === "preparing" || phase === "starting");
}

/** Whether its environment can go back to a deployment. */
export function canGoBackTo({ phase, artifact }: Deployment): boolean {
  return (phase === "kept" || phase === "retired") && artifact !== null && artifact !== undefined;
}

/** What a deployment is made of, in a few words. */
export function sourceText({ source, revision }: Deployment): string {
  if (revision?.message) return revision.message;
  switch (source.type) {
    case "git":
      return source.branch ?? source.url;
    case "image":
      return source.reference;
    case "artifact":
      return "What an earlier deployment built";
    case "upload":
      return "An uploaded folder";
  }
}

/** Where the commit is from. */
export function revisionText({ revision, source }: Deployment): string {
  const branch = revision?.branch ?? (source.type === "git" ? source.branch : undefined);
  return [branch, revision?.commit.slice(0, 7)].filter(Boolean).join(" · ");
}
