import { expect, test } from "vitest";
import { chosenOf } from "./chosen";

const file = (path: string) => ({ path, content: new Blob(["x"]) });

test("a folder is called as it is, and sent without its own name", () => {
  const { name, what, files } = chosenOf([file("Shop/a.html"), file("Shop/css/b.css")]);
  expect({ name, what }).toEqual({ name: "shop", what: "2 files" });
  expect(files).toMatchObject([{ path: "a.html" }, { path: "css/b.css" }]);
});

test("an archive is sent as it is", () => {
  const archive = file("Shop.tar.gz");
  expect(chosenOf([archive])).toEqual({ name: "shop", what: "Shop.tar.gz", files: archive.content });
});

test("nothing cannot be deployed", () => {
  expect(() => chosenOf([])).toThrow("no file");
});
