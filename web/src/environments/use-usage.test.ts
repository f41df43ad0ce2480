import { expect, test } from "vitest";
import type { Usage } from "@/api/types";
import { withNewest, type Used } from "./use-usage";

const usage = (replica: string, second: number): Usage => ({
  replica,
  at: new Date(second * 1_000).toISOString(),
  cpu_percent: second,
  memory_bytes: 100,
  memory_limit_bytes: 0,
  pids: 1,
});

const told = (...usages: Usage[]): Used => usages.reduce(withNewest, { newest: {}, sums: [] });

test("what is told takes the place of what was, and what nobody tells any more goes", () => {
  const both = told(usage("a", 0), usage("b", 5), usage("b", 10));
  expect([both.newest.a?.cpu_percent, both.newest.b?.cpu_percent]).toEqual([0, 10]);
  expect(Object.keys(withNewest(both, usage("b", 16)).newest)).toEqual(["b"]);
});

test("sums are of all replicas, one for each round, and few", () => {
  const { sums } = told(usage("a", 10), usage("b", 10), usage("a", 13), usage("b", 13));
  expect(sums.map(({ cpu_percent, memory_bytes }) => [cpu_percent, memory_bytes])).toEqual([
    [20, 200],
    [26, 200],
  ]);
  const many = told(...Array.from({ length: 500 }, (_, round) => usage("a", 3 * round)));
  expect(many.sums.length).toBe(200);
  expect(many.sums.at(-1)?.cpu_percent).toBe(3 * 499);
});
