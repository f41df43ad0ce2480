import type { Tone } from "@/ui/badge";

const DAY_MS = 24 * 60 * 60 * 1_000;
/** From how many days before its end on somebody should make another one. */
const SOON_DAYS = 14;

/** How near the end of something is. */
export function nearEnd(end: string, now: number): { tone: Tone; text: string } {
  const left = Date.parse(end) - now;
  if (left <= 0) return { tone: "bad", text: "Ended" };
  if (left < SOON_DAYS * DAY_MS) return { tone: "warn", text: "Ends soon" };
  return { tone: "good", text: "Valid" };
}
