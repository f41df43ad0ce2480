import { expect, test } from "vitest";
import { outdated } from "./changes";

test("a change makes old what shows it, once", () => {
  expect(outdated(["deployments", "replicas"])).toEqual([
    "deployments",
    "projects",
    "status",
    "replicas",
    "placement",
  ]);
  expect(outdated(["ticket_keys"])).toEqual([]);
});
