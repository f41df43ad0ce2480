import { expect, test } from "vitest";
import { freeName, nameFrom } from "./names";

test.each([
  ["https://git.example.com/team/My_Shop.git", "my-shop"],
  ["git@git.example.com:team/shop.git", "shop"],
  ["https://git.example.com/team/shop/", "shop"],
  ["2nd site!", "nd-site"],
  ["…", "app"],
])("%s gives %s", (text, name) => expect(nameFrom(text)).toBe(name));

test("a name that is taken gets a number", () => {
  expect(freeName("sample", new Set())).toBe("sample");
  expect(freeName("sample", new Set(["sample", "sample-2"]))).toBe("sample-3");
});
