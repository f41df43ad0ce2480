import { expect, test } from "vitest";
import { eventParser } from "./events";

test("events are found wherever the text is cut", () => {
  const text = ': keep alive\n\ndata: {"a":1}\n\nevent: x\r\ndata: one\r\ndata: two\r\n\r\ndata: unfinished';
  for (let size = 1; size < text.length; size++) {
    const found: string[] = [];
    const parser = eventParser((data) => found.push(data));
    for (let at = 0; at < text.length; at += size) parser.push(text.slice(at, at + size));
    expect(found).toEqual(['{"a":1}', "one\ntwo"]);
  }
});
