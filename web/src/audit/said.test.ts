import { expect, test } from "vitest";
import { idIn, namesOf, said, subject } from "./said";

const environment = "env_01m832f17ecqnvrspas8t2cw2j";
const names = namesOf(
  [{ id: "prj_1", name: "shop", environments: [{ id: environment, name: "production" }] }] as never,
  [],
  [],
);

test("ids are told by the names of what is there still", () => {
  const done = said({ action: "variable.unset", target: `${environment}/A` }, names);
  expect(done).toEqual({ done: "removed a variable of", to: "shop/production/A" });
  const gone = "usr_01m832f17ecqnvrspas8t2cw2k";
  expect(said({ action: "user.change", target: gone }, names).to).toBe(gone);
  expect([idIn(gone), idIn(done.to)]).toEqual([true, false]);
});

test("what nobody put in words is told by its own name, and a login needs no more words", () => {
  expect(said({ action: "rain.start", target: "here" }, names)).toEqual({ done: "rain.start", to: "here" });
  expect(said({ action: "session.open", target: environment }, names)).toEqual({ done: "logged in", to: "" });
});

test("actions are about their first word", () => expect(subject("dns.provider.add")).toBe("dns"));
