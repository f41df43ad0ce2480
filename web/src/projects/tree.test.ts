import { expect, test } from "vitest";
import { belowCommonFolder, isSent } from "./tree";

const file = (path: string) => ({ path, content: new Blob() });

test("the folder that was dropped is none of the app's", () => {
  const { folder, files } = belowCommonFolder([file("shop/a.js"), file("shop/src/b.js")]);
  expect(folder).toBe("shop");
  expect(files.map(({ path }) => path)).toEqual(["a.js", "src/b.js"]);
});

test("files that are in no folder stay where they are", () => {
  expect(belowCommonFolder([file("a.js"), file("src/b.js")]).files.map(({ path }) => path)).toEqual([
    "a.js",
    "src/b.js",
  ]);
});

test("what builds make by themselves is not sent", () => {
  expect(isSent("shop/src/target.ts")).toBe(true);
  expect(isSent("shop/node_modules/react/index.js")).toBe(false);
  expect(isSent("shop/.git/config")).toBe(false);
});
