const WITHIN_MS = 2_000;

/** The node's answer, if it gives one soon. */
export async function reachable(): Promise<Response | null> {
  try {
    return await fetch("/healthz", { signal: AbortSignal.timeout(WITHIN_MS), cache: "no-store" });
  } catch {
    return null;
  }
}
