import { expect, test } from "vitest";
import { sourceAgain } from "./again";

const git = {
  type: "git" as const,
  url: "https://host/a.git",
  branch: "main",
  commit: null,
  directory: "web",
};
const revision = { commit: "ab".repeat(20), branch: "main", message: "Fix it", author: "me" };

test("the same commit is tried again, from the project's own repository", () => {
  expect(sourceAgain({ source: git, revision }, "https://host/a.git")).toEqual({
    type: "git",
    branch: "main",
    commit: revision.commit,
    directory: "web",
  });
});

test("another repository is named", () => {
  expect(sourceAgain({ source: git, revision: null }, undefined)).toEqual({ ...git, commit: null });
});

test("a folder and an image stay what they are", () => {
  for (const source of [
    { type: "upload" as const, digest: "ab".repeat(32) },
    { type: "image" as const, reference: "nginx:1" },
  ]) {
    expect(sourceAgain({ source, revision: null }, "https://host/a.git")).toBe(source);
  }
});
