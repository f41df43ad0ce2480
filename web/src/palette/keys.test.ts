import { expect, test } from "vitest";
import { shortcutOf } from "./keys";

const key = (key: string, held: "ctrlKey" | "metaKey" | "altKey" | null = null) => ({
  key,
  ctrlKey: held === "ctrlKey",
  metaKey: held === "metaKey",
  altKey: held === "altKey",
});
const page = { writing: false, dialog: false, single: true, waiting: false };

test("the palette opens also for who writes, but not over a dialog", () => {
  expect(shortcutOf(key("k", "ctrlKey"), { ...page, writing: true })).toEqual({ does: "palette" });
  expect(shortcutOf(key("K", "metaKey"), page)).toEqual({ does: "palette" });
  expect(shortcutOf(key("k", "ctrlKey"), { ...page, dialog: true })).toBeUndefined();
});

test("keys alone do nothing for who writes, or has switched them off", () => {
  expect(shortcutOf(key("?"), page)).toEqual({ does: "help" });
  expect(shortcutOf(key("?"), { ...page, writing: true })).toBeUndefined();
  expect(shortcutOf(key("n"), { ...page, single: false })).toBeUndefined();
  expect(shortcutOf(key("n", "altKey"), page)).toBeUndefined();
});

test("g and another key lead somewhere", () => {
  expect(shortcutOf(key("g"), page)).toEqual({ does: "wait" });
  expect(shortcutOf(key("c"), { ...page, waiting: true })).toEqual({ does: "go", to: "/cluster" });
  expect(shortcutOf(key("c"), page)).toBeUndefined();
  expect(shortcutOf(key("x"), { ...page, waiting: true })).toBeUndefined();
});
