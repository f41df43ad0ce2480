import { expect, test } from "vitest";
import { execPath, placeOf, terminalUrl, wordsOf } from "./place";

test.each([
  { project: "shop", environment: "production", replica: "rep_1" },
  { project: "shop", environment: "fix/a&b", replica: undefined },
])("the address of a terminal leads back to %o", (place) => {
  const url = new URL(terminalUrl(place), "http://n1:3000");
  expect(url.pathname).toBe("/terminal.html");
  expect(placeOf(url.search)).toEqual(place);
});

test("production is meant where no environment is named, and no project is none", () => {
  expect(placeOf("?project=shop")).toEqual({
    project: "shop",
    environment: "production",
    replica: undefined,
  });
  expect([placeOf(""), placeOf("?project=")]).toEqual([undefined, undefined]);
});

test("commands are split at blanks, and a shell is run when there is none", () => {
  expect(wordsOf("  ls -l  /app ")).toEqual(["ls", "-l", "/app"]);
  expect(wordsOf(" ")[0]).toBe("/bin/sh");
});

test("the path of a command keeps each word", () => {
  expect(execPath({ project: "shop", environment: "a/b" }, "rep_1", ["echo", "a&b"])).toBe(
    "/api/projects/shop/environments/a%2Fb/replicas/rep_1/exec?command=echo&command=a%26b&tty=true",
  );
});
