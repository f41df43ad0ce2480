import { expect, test } from "vitest";
import { namedHeaders } from "./presets";

test("lines without a name are left out", () => {
  const lines = [
    { name: " X-Frame-Options ", value: "DENY" },
    { name: "", value: "x" },
  ];
  expect(namedHeaders(lines)).toEqual({ "X-Frame-Options": "DENY" });
});
