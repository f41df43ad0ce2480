import { expect, test } from "vitest";
import { outputOf, portOf } from "./words";

test("what a build gives is said in words", () => {
  const site = (directory: string) => outputOf({ output: { type: "static", directory, single_page: false } });
  expect(outputOf({ output: { type: "image" } })).toBe("A container image");
  expect(site("")).toBe("A static site of the whole folder");
  expect(site("/site")).toBe("A static site of /site");
});

test("an assumed port is said to be one", () => {
  expect(portOf({ port: null, port_assumed: false })).toBeUndefined();
  expect(portOf({ port: 8080, port_assumed: false })).toBe("8080");
  expect(portOf({ port: 3000, port_assumed: true })).toBe("3000, or the only one it listens on");
});
