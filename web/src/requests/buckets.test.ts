import { expect, test } from "vitest";
import type { RequestLine } from "@/api/types";
import { bucketsOf, widthText } from "./buckets";

function line(second: number, status: number | null): RequestLine {
  const at = new Date(second * 1_000).toISOString();
  return { type: "request", at, status } as RequestLine;
}

test("requests are counted by time and by how they ended", () => {
  const buckets = bucketsOf([
    line(100, 200),
    line(100, 503),
    line(102, 404),
    line(102, null),
    line(102, 304),
  ]);
  expect(buckets?.width).toBe(1_000);
  expect(buckets?.starts).toHaveLength(20);
  const newest = (counts: number[] | undefined) => counts?.slice(-4);
  expect(newest(buckets?.starts)).toEqual([99_000, 100_000, 101_000, 102_000]);
  expect(newest(buckets?.good)).toEqual([0, 1, 0, 2]);
  expect(newest(buckets?.refused)).toEqual([0, 0, 0, 1]);
  expect(newest(buckets?.failed)).toEqual([0, 1, 0, 0]);
});

test("the longer the time, the wider the buckets; there are never many", () => {
  const widths = [0, 39, 41, 600, 3_600, 86_400, 400 * 86_400].map((seconds) => {
    const buckets = bucketsOf([line(0, 200), line(seconds, 200)]);
    expect(buckets?.starts.length).toBeLessThanOrEqual(40);
    expect(buckets?.good.at(-1)).toBeGreaterThan(0);
    return widthText(buckets?.width ?? 0);
  });
  expect(widths).toEqual(["1 s", "1 s", "5 s", "1 min", "5 min", "1 h", "24 h"]);
});

test("without requests there is nothing to count", () => {
  const missing = { type: "missing", at: new Date(0).toISOString(), node: "1", why: "lost" };
  expect(bucketsOf([])).toBeUndefined();
  expect(bucketsOf([missing as unknown as RequestLine])).toBeUndefined();
});
