import { expect, test } from "vitest";
import { matches, words } from "./words";

test("words are what stands between spaces, commas and new lines", () => {
  expect(words(" a, b\nc,,d ")).toEqual(["a", "b", "c", "d"]);
  expect(words("  ")).toEqual([]);
});

test.each([
  ["Ada@example.com admin", "ada ADMIN", true],
  ["Ada@example.com admin", "ada reader", false],
  ["anything", " ", true],
])("%j has %j: %j", (text, wanted, found) => expect(matches(text, wanted)).toBe(found));
