import { expect, test } from "vitest";
import { filterOf, NOTHING, queryOf, searchOf } from "./filter";

test("a filter survives the page's address", () => {
  const filter = { ...NOTHING, status: "404", path: "/a b&c", slow: "250" };
  expect(searchOf(filter)).toEqual({ status: "404", path: "/a b&c", slow: "250" });
  expect(filterOf({ status: 404, path: "/a b&c", slow: "250", env: "production", method: ["x"] })).toEqual(
    filter,
  );
  expect(searchOf(NOTHING)).toEqual({});
});

test.each([
  ["", undefined],
  ["203.0.113", undefined],
  ["203.0.113.7", "203.0.113.7"],
  [" 2001:db8::1 ", "2001:db8::1"],
  ["localhost", undefined],
])("the client %j is asked for as %j", (client, asked) => {
  expect(queryOf({ ...NOTHING, client }, 100).get("client") ?? undefined).toBe(asked);
});

test("what is asked for is in the API's words", () => {
  const asked = queryOf({ status: "5xx", method: "GET", path: "/a", client: "", slow: "1s" }, 500);
  expect(asked.toString()).toBe("follow=true&tail=500&status=5xx&method=GET&path=%2Fa");
});
