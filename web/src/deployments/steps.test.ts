import { expect, test } from "vitest";
import { buildSteps, stepsOf, tookInAll } from "./steps";

const at = (second: number) => new Date(second * 1_000).toISOString();
const history = (...moments: [string, number][]) =>
  moments.map(([phase, second]) => ({ phase, at: at(second) }));

test("a deployment that is live shows what each step took", () => {
  const live = {
    phase: "live",
    history: history(["queued", 0], ["building", 1], ["starting", 8], ["live", 10]),
  };
  expect(stepsOf(live, 99_000)).toEqual([
    { name: "Wait for a builder", state: "done", took: 1_000 },
    { name: "Build", state: "done", took: 7_000 },
    { name: "Start and check replicas", state: "done", took: 2_000 },
  ]);
  expect(tookInAll(live, 99_000)).toBe(10_000);
});

test("what is under way shows how long it has taken, and what is ahead", () => {
  const building = { phase: "building", history: history(["queued", 0], ["building", 1]) };
  expect(stepsOf(building, 4_000)).toEqual([
    { name: "Wait for a builder", state: "done", took: 1_000 },
    { name: "Build", state: "running", took: 3_000 },
    { name: "Start and check replicas", state: "waiting" },
  ]);
});

test("the step that failed is the one before the failure", () => {
  const failed = { phase: "failed", history: history(["queued", 0], ["building", 1], ["failed", 3]) };
  expect(stepsOf(failed, 9_000).map(({ state }) => state)).toEqual(["done", "failed"]);
});

test("a version that was kept and went live again shows its first way", () => {
  const again = {
    phase: "live",
    history: history(["queued", 0], ["starting", 1], ["live", 3], ["kept", 100], ["live", 200]),
  };
  expect(stepsOf(again, 999_000)).toHaveLength(2);
  expect(tookInAll(again, 999_000)).toBe(3_000);
});

test("the parts of a build are told by its log", () => {
  const lines = [
    { step: "source", at: at(0), text: "a" },
    { step: "build", at: at(2), text: "b" },
    { step: "build", at: at(5), text: "c" },
  ];
  expect(buildSteps(lines, false, 9_000)).toEqual([
    { name: "source", state: "done", took: 2_000 },
    { name: "build", state: "running", took: 7_000 },
  ]);
  expect(buildSteps(lines, true, 9_000).at(-1)).toEqual({ name: "build", state: "done", took: 3_000 });
});
