import { expect, test } from "vitest";
import type { Placement } from "@/api/types";
import { fill } from "./room";

function placement(taken: number, kept: number, offered: number | null): Placement {
  const room = (memory_mib: number) => ({ memory_mib, cpu_millis: 0 });
  return {
    node: 1,
    replicas: [],
    taken: room(taken),
    kept: room(kept),
    offered: offered === null ? null : room(offered),
  };
}

test.each([
  [250, 250, 1_000, { taken: 25, kept: 25 }],
  [900, 250, 1_000, { taken: 90, kept: 10 }],
  [2_000, 1, 1_000, { taken: 100, kept: 0 }],
  [0, 0, 0, { taken: 0, kept: 0 }],
  [1, 1, null, undefined],
])("%d taken and %d kept of %j", (taken, kept, offered, filled) => {
  expect(fill("memory_mib", placement(taken, kept, offered))).toEqual(filled);
});
