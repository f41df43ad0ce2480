import type { BuildLine, Deployment } from "@/api/types";
import { isUnderWay } from "./phase";

export type StepState = "done" | "running" | "failed" | "cancelled" | "waiting";

export interface Step {
  name: string;
  state: StepState;
  /** How long it took, or has taken so far, in milliseconds; nothing for what has not begun. */
  took?: number;
}

const TITLES: Record<string, string> = {
  queued: "Wait for a builder",
  building: "Build",
  preparing: "Run the commands before the deploy",
  starting: "Start and check replicas",
};
const AHEAD = ["queued", "building", "starting"];

/** The steps of a deployment: those it has taken, the one it is at, and those ahead. */
export function stepsOf({ history, phase }: Pick<Deployment, "history" | "phase">, now: number): Step[] {
  // A version that is kept, and live again, goes on with its history: its way to the first time is what is shown.
  const end = history.findIndex((moment) => !isUnderWay(moment.phase));
  const taken = end < 0 ? history : history.slice(0, end + 1);
  const steps: Step[] = [];
  taken.forEach((moment, place) => {
    const title = TITLES[moment.phase];
    if (title === undefined) return;
    const next = taken[place + 1];
    const until = next === undefined ? now : Date.parse(next.at);
    steps.push({ name: title, state: stateAfter(next?.phase), took: until - Date.parse(moment.at) });
  });
  if (!isUnderWay(phase)) return steps;
  const at = AHEAD.indexOf(phase === "preparing" ? "building" : phase);
  const ahead = AHEAD.slice(at + 1).map((one): Step => ({ name: TITLES[one] ?? one, state: "waiting" }));
  return [...steps, ...ahead];
}

function stateAfter(next: string | undefined): StepState {
  if (next === undefined) return "running";
  return next === "failed" || next === "cancelled" ? next : "done";
}

/** What a build does one after the other, by its log, and how long each takes. */
export function buildSteps(lines: readonly BuildLine[], over: boolean, now: number): Step[] {
  const began: { step: string; at: number }[] = [];
  for (const { step, at } of lines) {
    if (!began.some((one) => one.step === step)) began.push({ step, at: Date.parse(at) });
  }
  const last = lines.at(-1);
  return began.map(({ step, at }, place) => {
    const next = began[place + 1];
    if (next !== undefined) return { name: step, state: "done", took: next.at - at };
    const until = over && last !== undefined ? Date.parse(last.at) : now;
    return { name: step, state: over ? "done" : "running", took: until - at };
  });
}

/** From when it was asked for until it was live, or over. */
export function tookInAll({ history }: Pick<Deployment, "history">, now: number): number {
  const first = history[0];
  const end = history.find((moment) => !isUnderWay(moment.phase));
  if (first === undefined) return 0;
  return (end === undefined ? now : Date.parse(end.at)) - Date.parse(first.at);
}
