import { expect, test } from "vitest";
import { inside } from "./inside";

test.each([
  ["/projects/shop?env=x", "/projects/shop?env=x"],
  ["//evil.example", "/"],
  ["/\\evil.example", "/"],
  ["https://evil.example", "/"],
  [undefined, "/"],
])("%s leads to %s", (next, path) => expect(inside(next)).toBe(path));
