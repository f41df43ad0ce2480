import { expect, test } from "vitest";
import { credentials, FILE, kindOf, type Kind } from "./kinds";

const kind = (value: string) => kindOf(value) as Kind;

test("fields that are left empty are left out", () => {
  const written = { access_key_id: " AKIA ", secret_access_key: "s", session_token: "" };
  expect(credentials(kind("route53"), written)).toEqual({ access_key_id: "AKIA", secret_access_key: "s" });
});

test("a key file goes as it is, and what is none does not go", () => {
  expect(credentials(kind("google"), { [FILE]: '{"project_id":"p"}' })).toEqual({ project_id: "p" });
  expect(credentials(kind("google"), { [FILE]: "not JSON" })).toBeUndefined();
  expect(credentials(kind("google"), {})).toBeUndefined();
});
