import { expect, test } from "vitest";
import type { Usage } from "@/api/types";
import { withNewest } from "./use-usage";

const usage = (replica: string, second: number): Usage => ({
  replica,
  at: new Date(second * 1_000).toISOString(),
  cpu_percent: second,
  memory_bytes: 0,
  memory_limit_bytes: 0,
  pids: 1,
});

test("what is told takes the place of what was, and what nobody tells any more goes", () => {
  const told = [usage("a", 0), usage("b", 5), usage("b", 10)];
  const both = told.reduce(withNewest, {});
  expect([both.a?.cpu_percent, both.b?.cpu_percent]).toEqual([0, 10]);
  expect(Object.keys(withNewest(both, usage("b", 16)))).toEqual(["b"]);
});
