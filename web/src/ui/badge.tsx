import type { ReactNode } from "react";
import { classes } from "./classes";

export type Tone = "good" | "warn" | "bad" | "busy" | "calm";

const DOTS: Record<Tone, string> = {
  good: "bg-good",
  warn: "bg-warn",
  bad: "bg-bad",
  busy: "bg-accent animate-pulse",
  calm: "bg-muted",
};
const TEXTS: Record<Tone, string> = {
  good: "text-good",
  warn: "text-warn",
  bad: "text-bad",
  busy: "text-accent",
  calm: "text-muted",
};

/** How something is: a dot and a word, never the colour alone. */
export function Badge({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={classes("inline-flex items-center gap-1.5 font-medium whitespace-nowrap", TEXTS[tone])}>
      <span className={classes("size-2 rounded-full", DOTS[tone])} aria-hidden />
      {children}
    </span>
  );
}

/** A short word about something. */
export function Tag({ children }: { children: ReactNode }) {
  return (
    <span className="rounded border border-line bg-raised px-1.5 py-0.5 text-xs font-normal whitespace-nowrap text-muted">
      {children}
    </span>
  );
}
