import { expect, test } from "vitest";
import type { Node, Status } from "@/api/types";
import { otherNodes } from "./other-nodes";

const node = (id: number, reachable = true) =>
  ({ id, name: `n${id}`, address: `192.0.2.${id}:3001`, reachable }) as unknown as Node;
const status = { node: 1, nodes: [node(1), node(2), node(3, false)] } as unknown as Status;

test("nodes that lived are where this one was, at their own addresses", () => {
  const here = { protocol: "http:", port: "3000", hostname: "192.0.2.1" };
  expect(otherNodes(status, here)).toEqual([{ name: "n2", origin: "http://192.0.2.2:3000" }]);
  expect(otherNodes(status, { ...here, hostname: "127.0.0.1" })).toEqual([]);
  expect(otherNodes(undefined, here)).toEqual([]);
});
