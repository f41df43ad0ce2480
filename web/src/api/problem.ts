import type { components } from "./schema";

type Document = components["schemas"]["Problem"];

/** What went wrong, as the API's problem documents say it (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    readonly hint?: string,
    readonly requestId?: string,
    readonly field?: string,
  ) {
    super(detail);
    this.name = "Problem";
  }

  /** Whether asking again may help, without anybody changing anything. */
  get passes(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The problem of an answer; `body` is what was read of it. */
export function problemOf(body: unknown, response: Response): Problem {
  if (isDocument(body)) {
    const { status, code, title, detail, hint, request_id, field } = body;
    return new Problem(status, code, title, detail, hint ?? undefined, request_id, field ?? undefined);
  }
  const id = response.headers.get("x-request-id") ?? undefined;
  const detail = `the node answered ${response.status} ${response.statusText}`.trim();
  return new Problem(response.status, "unreadable", "Unexpected answer", detail, undefined, id);
}

/** No answer came at all. */
export function unreachable(): Problem {
  const hint = "the page goes on by itself once the node answers again";
  return new Problem(0, "unreachable", "No answer", "this node does not answer", hint);
}

/** What browsers say when the node does not send them a part of the dashboard's program. */
const PROGRAM_AWAY = /dynamically imported module|importing a module/i;

/** Whatever was thrown, as a problem. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof TypeError && PROGRAM_AWAY.test(error.message)) return unreachable();
  const detail = error instanceof Error ? error.message : String(error);
  return new Problem(-1, "page", "The page failed", detail, "load the page again");
}

function isDocument(body: unknown): body is Document {
  return typeof body === "object" && body !== null && "code" in body && "detail" in body;
}
