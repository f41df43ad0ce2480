import { expect, test } from "vitest";
import { fitting, score } from "./match";

const same = (text: string) => text;

test("beginnings fit better than what is inside, and letters in order fit at all", () => {
  const pages = ["Leaked users", "API keys", "Users", "New users"];
  expect(fitting(pages, same, "us")).toEqual(["Users", "Leaked users", "New users"]);
  expect(fitting(pages, same, "apky")).toEqual(["API keys"]);
});

test("every word has to fit, in any order", () => {
  expect(score("shop · Logs", "logs shop")).toBeGreaterThan(0);
  expect(score("shop · Logs", "logs blog")).toBeUndefined();
});

test("nothing written fits all, in their order", () =>
  expect(fitting(["b", "a"], same, " ")).toEqual(["b", "a"]));
