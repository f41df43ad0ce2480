import { expect, test } from "vitest";
import { size } from "./size";

test.each([
  [0, "0 B"],
  [1_023, "1023 B"],
  [812 * 1_024, "812 KiB"],
  [37 * 1_024 ** 2, "37 MiB"],
  [1.5 * 1_024 ** 3, "1.5 GiB"],
])("%d octets are %s", (bytes, text) => {
  expect(size(bytes)).toBe(text);
});
