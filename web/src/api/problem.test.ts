import { expect, test } from "vitest";
import { asProblem, Problem, problemOf } from "./problem";

test("a problem document is taken over whole", () => {
  const body = {
    type: "/problems/x",
    title: "T",
    status: 409,
    detail: "d",
    code: "x",
    hint: "h",
    request_id: "req_1",
  };
  const problem = problemOf(body, new Response(null, { status: 409 }));
  expect(problem).toMatchObject({ status: 409, code: "x", hint: "h", requestId: "req_1", passes: false });
});

test("an answer that is no document is told by its status", () => {
  const response = new Response("<html>", { status: 502, headers: { "x-request-id": "req_2" } });
  expect(problemOf("<html>", response)).toMatchObject({ status: 502, requestId: "req_2", passes: true });
});

test("a part of the page that cannot be fetched is a node that does not answer, and a bug is none", () => {
  expect(asProblem(new TypeError("x is undefined"))).toMatchObject({ code: "page" });
  expect(asProblem(new TypeError("Failed to fetch dynamically imported module: /a.js"))).toMatchObject({
    code: "unreachable",
    passes: true,
  });
  expect(asProblem(new Error("x"))).toBeInstanceOf(Problem);
});
