import { expect, test } from "vitest";
import { CLUSTER, inherits, nameOf, needed, scopesOf } from "./scope";

test("a project has rules, and so has each of its environments", () => {
  const environments = [
    { id: "env_1", name: "production" },
    { id: "env_2", name: "staging" },
  ];
  const scopes = scopesOf({ id: "prj_1", name: "shop", environments });
  expect(scopes.map(({ id }) => id)).toEqual(["prj_1", "env_1", "env_2"]);
  expect(scopes.map(nameOf)).toEqual(["shop", "shop/production", "shop/staging"]);
  expect(scopes.map(needed)).toEqual(["write", "write", "write"]);
});

test("the cluster’s are an admin’s, and nothing is wider", () => {
  expect([nameOf(CLUSTER), needed(CLUSTER), inherits(CLUSTER)]).toEqual([
    "the whole cluster",
    "admin",
    false,
  ]);
});
