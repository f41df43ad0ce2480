import { expect, test } from "vitest";
import { marked, matching } from "./search";

test("lines are found in any case", () => {
  const lines = [{ text: "GET /a" }, { text: "Error: x" }];
  expect(matching(lines, " error ")).toEqual([{ text: "Error: x" }]);
  expect(matching(lines, "")).toEqual(lines);
});

test("what was found is marked, and the line stays whole", () => {
  const parts = marked("abcABCx", "abc");
  expect(parts.map(({ found }) => found)).toEqual([true, true, false]);
  expect(parts.map(({ text }) => text).join("")).toBe("abcABCx");
});
