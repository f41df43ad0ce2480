import { expect, test } from "vitest";
import { commands } from "./commands";
import { fitting } from "./match";

const projects = [{ name: "shop" }, { name: "blog" }] as never;
const texts = (permissions: string[], here?: string) =>
  commands({ projects, permissions, here }).map(({ text }) => text);

test("the pages of the project that is shown come first, then all projects", () => {
  const found = texts(["read", "write"], "shop");
  expect(found[0]).toBe("shop · Overview");
  expect(found).toContain("blog");
  expect(found.indexOf("shop · Logs")).toBeLessThan(found.indexOf("blog"));
});

test("what somebody may not is not found", () => {
  expect(texts(["read"])).not.toContain("New project");
  expect(texts(["read"])).not.toContain("Settings · Users");
  expect(texts(["read", "write", "admin"])).toContain("Settings · Users");
});

test("a project is found by its name before its pages", () => {
  const all = commands({ projects, permissions: ["read"], here: undefined });
  expect(fitting(all, ({ text }) => text, "blog")[0]?.text).toBe("blog");
});
