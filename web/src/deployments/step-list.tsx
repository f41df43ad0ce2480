import { Ban, Check, Circle, LoaderCircle, X } from "lucide-react";
import { classes } from "@/ui/classes";
import { duration } from "@/ui/time";
import type { Step, StepState } from "./steps";

const ICONS = { done: Check, running: LoaderCircle, failed: X, cancelled: Ban, waiting: Circle };
const LOOKS: Record<StepState, string> = {
  done: "text-good",
  running: "text-accent animate-spin",
  failed: "text-bad",
  cancelled: "text-muted",
  waiting: "text-muted opacity-60",
};
const WORDS: Record<StepState, string> = {
  done: "done",
  running: "under way",
  failed: "failed",
  cancelled: "cancelled",
  waiting: "not begun",
};

/** The steps of a deployment; `parts` are those of its build. */
export function StepList({ steps, parts }: { steps: Step[]; parts: Step[] }) {
  return (
    <ol className="space-y-2">
      {steps.map((step) => (
        <li key={step.name} className="space-y-2">
          <Row step={step} />
          {step.name === "Build" && parts.length > 0 && (
            <ol className="ml-2 space-y-1.5 border-l border-line pl-4">
              {parts.map((part) => (
                <li key={part.name}>
                  <Row
                    step={
                      step.state === "failed" && part === parts.at(-1) ? { ...part, state: "failed" } : part
                    }
                    small
                  />
                </li>
              ))}
            </ol>
          )}
        </li>
      ))}
    </ol>
  );
}

function Row({ step, small = false }: { step: Step; small?: boolean }) {
  const Icon = ICONS[step.state];
  return (
    <div
      className={classes(
        "flex items-center gap-2.5",
        small && "text-muted",
        step.state === "waiting" && "text-muted",
      )}
    >
      <Icon className={classes("size-4 shrink-0", LOOKS[step.state])} aria-hidden />
      <span className="min-w-0 flex-1">
        {step.name}
        <span className="sr-only">: {WORDS[step.state]}</span>
      </span>
      {step.took !== undefined && <span className="text-muted tabular-nums">{duration(step.took)}</span>}
    </div>
  );
}
