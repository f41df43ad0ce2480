import { expect, test } from "vitest";
import { duration, relative } from "./time";

const now = Date.parse("2026-11-22T12:00:00Z");

test.each([
  ["2026-11-22T11:59:55Z", "just now"],
  ["2026-11-22T11:59:15Z", "45 s ago"],
  ["2026-11-22T11:55:01Z", "4 min ago"],
  ["2026-11-22T09:00:00Z", "3 h ago"],
  ["2026-11-21T11:00:00Z", "1 day ago"],
  ["2027-02-20T12:00:00Z", "in 90 days"],
])("%s is %s", (at, text) => expect(relative(at, now)).toBe(text));

test.each([
  [-5, "0.0 s"],
  [420, "0.4 s"],
  [12_300, "12 s"],
  [185_000, "3 min 05 s"],
  [7_440_000, "2 h 04 min"],
])("%d ms are %s", (ms, text) => expect(duration(ms)).toBe(text));
