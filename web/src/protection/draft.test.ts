import { expect, test } from "vitest";
import type { Guard } from "@/api/types";
import { changeOf, draftOf } from "./draft";

const set: Guard["set"] = {
  deny: ["203.0.113.0/24"],
  allow: [],
  deny_countries: [],
  allow_countries: [],
  rate_per_client: "100/1m",
  rate_in_all: null,
  attack_mode: "auto",
  triggers: ["first_request"],
  password: "asked",
};
const base = draftOf({ set });

test("what nobody touched is not sent", () => {
  expect(changeOf(base, base)).toEqual({});
  expect(changeOf({ ...base, deny: " 203.0.113.0/24\n" }, base)).toEqual({});
});

test("what is emptied is taken back", () => {
  const draft = { ...base, ratePerClient: " ", attackMode: "unset", password: "unset" } as const;
  expect(changeOf(draft, base)).toEqual({ rate_per_client: null, attack_mode: null, password: null });
});

test("only the mode auto has reasons", () => {
  const more = { ...base, triggers: ["first_request", "rate_limit"] };
  expect(changeOf(more, base)).toEqual({ triggers: ["first_request", "rate_limit"] });
  expect(changeOf({ ...more, attackMode: "on" }, base)).toEqual({ attack_mode: "on" });
});

test("countries are written in capitals", () => {
  expect(changeOf({ ...base, denyCountries: "kp, de" }, base)).toEqual({ deny_countries: ["KP", "DE"] });
});

test("a new password is sent, and who is open has none", () => {
  expect(changeOf({ ...base, newPassword: "correct horse" }, base)).toEqual({ password: "correct horse" });
  expect(changeOf({ ...base, password: "open", newPassword: "x" }, base)).toEqual({ open: true });
});
