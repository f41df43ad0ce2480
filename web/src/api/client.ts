import createClient, { type Middleware } from "openapi-fetch";
import { answered, silent } from "./connection";
import { freshKey, Keys } from "./keys";
import { problemOf, unreachable } from "./problem";
import type { paths } from "./schema";
import { whileThere } from "./while-there";

let csrfToken: string | null = null;

/** What the node wants to see in changes made with a session's cookie. */
export function setCsrfToken(token: string | null) {
  csrfToken = token;
}

const keys = new Keys();
/** What each request changes, while it is under way. */
const changes = new WeakMap<Request, string>();

/** The headers of a change. */
export function changeHeaders(key = freshKey()): Record<string, string> {
  return { "idempotency-key": key, ...(csrfToken === null ? {} : { "x-csrf-token": csrfToken }) };
}

async function sign(request: Request): Promise<Request> {
  const change = `${request.method} ${request.url} ${await request.clone().text()}`;
  changes.set(request, change);
  for (const [name, value] of Object.entries(changeHeaders(keys.of(change)))) {
    request.headers.set(name, value);
  }
  return request;
}

/** Notes whether it is known what became of a change. */
function settle(request: Request, known: boolean) {
  const change = changes.get(request);
  if (change === undefined) return;
  if (known) keys.forget(change);
  else keys.keep(change, request.headers.get("idempotency-key") ?? freshKey());
}

const middleware: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET") return sign(request);
    // What this node knows: it knows of each change that was made through it, and tells also without a quorum.
    const url = new URL(request.url);
    url.searchParams.set("consistency", "stale");
    return new Request(url, request);
  },
  onResponse({ request, response }) {
    answered(response);
    settle(request, response.status < 500);
  },
  onError({ request, error }) {
    settle(request, false);
    if (error instanceof DOMException && error.name === "AbortError") return error;
    silent();
    return unreachable();
  },
};

/** The REST API, with the types of its OpenAPI document. */
export const api = createClient<paths>({
  baseUrl: window.location.origin,
  fetch: (request) =>
    whileThere((loss) => fetch(request, { signal: AbortSignal.any([request.signal, loss]) })),
});
api.use(middleware);

/** What an answer holds; a problem is thrown. */
export async function unwrap<T>(
  call: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await call.catch(broken);
  if (!response.ok) throw problemOf(error, response);
  return data as T;
}

/** What a link that breaks within an answer is: fetch throws a TypeError then (Fetch, §5.3). */
function broken(error: unknown): never {
  throw error instanceof TypeError ? unreachable() : error;
}
