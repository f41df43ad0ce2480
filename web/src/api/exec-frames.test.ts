import { expect, test } from "vitest";
import { heard, INPUT_BYTES_MAX, inputFrames, sizeFrame } from "./exec-frames";

test("input goes to the channel of input, in frames of bounded length", () => {
  expect(inputFrames(Uint8Array.of(104, 105))).toEqual([Uint8Array.of(0, 104, 105)]);
  expect(inputFrames(new Uint8Array())).toEqual([]);
  const frames = inputFrames(new Uint8Array(INPUT_BYTES_MAX + 1).fill(7));
  expect(frames.map((frame) => frame.length)).toEqual([INPUT_BYTES_MAX + 1, 2]);
  expect(frames[1]).toEqual(Uint8Array.of(0, 7));
});

test("the size is told as rows and columns", () => {
  expect(JSON.parse(sizeFrame(24, 80))).toEqual({ type: "resize", rows: 24, columns: 80 });
});

test("both outputs are heard, and nothing else that is binary", () => {
  const frame = (...octets: number[]) => heard(Uint8Array.from(octets).buffer);
  expect(frame(1, 104)).toEqual({ type: "output", octets: Uint8Array.of(104) });
  expect(frame(2, 105)).toEqual({ type: "output", octets: Uint8Array.of(105) });
  expect([frame(0, 1), frame(9, 1), frame()]).toEqual([undefined, undefined, undefined]);
});

test("the end is heard with its code", () => {
  expect(heard('{"type":"exit","code":7}')).toEqual({ type: "exit", code: 7 });
  expect(heard('{"type":"exit","code":null}')).toEqual({ type: "exit", code: null });
  expect([heard('{"type":"other"}'), heard("nonsense"), heard("null"), heard(1)]).toEqual(
    Array(4).fill(undefined),
  );
});
