import { expect, test } from "vitest";
import { zoneStatus } from "./zone-status";

test("a zone that nobody has looked at is not called unknown", () => {
  expect(zoneStatus({ status: "unknown", looked_at: null }).text).toBe("Not looked at yet");
  expect(zoneStatus({ status: "unknown", looked_at: "2026-11-22T12:00:00Z" }).text).toBe("Unknown");
  expect(zoneStatus({ status: "right", looked_at: null }).tone).toBe("good");
});
