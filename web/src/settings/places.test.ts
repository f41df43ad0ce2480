import { expect, test } from "vitest";
import { placesFor } from "./places";

test("who is no admin is not led to what only admins see", () => {
  const shown = placesFor(["read", "write"]).flatMap(({ places }) => places.map(({ text }) => text));
  expect(shown).toContain("API keys");
  expect(shown).not.toContain("Users");
  expect(shown).not.toContain("Audit log");
});
