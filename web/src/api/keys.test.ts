import { expect, test } from "vitest";
import { freshKey, Keys } from "./keys";

test("a change goes under a key of its own", () => {
  const keys = new Keys();
  expect(keys.of("POST /a")).not.toBe(keys.of("POST /a"));
  expect(freshKey()).toMatch(/^[0-9a-f]{32}$/);
});

test("a change whose outcome is unknown keeps its key until that is known", () => {
  const keys = new Keys();
  keys.keep("POST /a", "one");
  expect(keys.of("POST /a")).toBe("one");
  expect(keys.of("POST /b")).not.toBe("one");
  keys.forget("POST /a");
  expect(keys.of("POST /a")).not.toBe("one");
});

test("keys are kept for a while, and not many", () => {
  const keys = new Keys();
  keys.keep("POST /a", "one", 0);
  expect(keys.of("POST /a", 9 * 60_000)).toBe("one");
  expect(keys.of("POST /a", 11 * 60_000)).not.toBe("one");
  for (let number = 0; number < 20; number++) keys.keep(`POST /${number}`, String(number), 0);
  expect(keys.of("POST /a", 0)).not.toBe("one");
  expect(keys.of("POST /0", 0)).toBe("0");
});
