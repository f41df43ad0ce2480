import { expect, test } from "vitest";
import { nearEnd } from "./expiry";

const now = Date.parse("2026-11-22T12:00:00Z");

test.each([
  ["2026-11-22T12:00:00Z", "Ended"],
  ["2026-12-06T11:59:59Z", "Ends soon"],
  ["2026-12-06T12:00:01Z", "Valid"],
])("what ends at %s is said to be: %s", (end, text) => expect(nearEnd(end, now).text).toBe(text));
