import createClient, { type Middleware } from "openapi-fetch";
import { answered, silent } from "./connection";
import { problemOf, unreachable } from "./problem";
import type { paths } from "./schema";

let csrfToken: string | null = null;

/** What the node wants to see in changes made with a session's cookie. */
export function setCsrfToken(token: string | null) {
  csrfToken = token;
}

/** A key under which a change takes effect once, however often it is sent. */
export function freshKey(): string {
  // Not crypto.randomUUID: browsers have that over HTTPS only.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join(
    "",
  );
}

/** The headers of a change. */
export function changeHeaders(): Record<string, string> {
  return { "idempotency-key": freshKey(), ...(csrfToken === null ? {} : { "x-csrf-token": csrfToken }) };
}

const middleware: Middleware = {
  onRequest({ request }) {
    if (request.method === "GET") {
      // What this node knows: it knows of each change that was made through it, and tells also without a quorum.
      const url = new URL(request.url);
      url.searchParams.set("consistency", "stale");
      return new Request(url, request);
    }
    for (const [name, value] of Object.entries(changeHeaders())) request.headers.set(name, value);
    return request;
  },
  onResponse({ response }) {
    answered(response);
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === "AbortError") return error;
    silent();
    return unreachable();
  },
};

/** The REST API, with the types of its OpenAPI document. */
export const api = createClient<paths>({ baseUrl: window.location.origin });
api.use(middleware);

/** What an answer holds; a problem is thrown. */
export async function unwrap<T>(
  call: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw problemOf(error, response);
  return data as T;
}
