/** Which requests are shown; empty where nothing is asked. */
export interface Filter {
  status: string;
  method: string;
  path: string;
  client: string;
  slow: string;
}

export const NOTHING: Filter = { status: "", method: "", path: "", client: "", slow: "" };
const NAMES = Object.keys(NOTHING) as (keyof Filter)[];

/** As it stands in the page's address: only what is asked. */
export function searchOf(filter: Filter): Partial<Filter> {
  return Object.fromEntries(NAMES.flatMap((name) => (filter[name] === "" ? [] : [[name, filter[name]]])));
}

/** What the page's address asks. Numbers come as such. */
export function filterOf(search: Record<string, unknown>): Filter {
  const text = (value: unknown) =>
    typeof value === "string" || typeof value === "number" ? String(value) : "";
  return { ...NOTHING, ...Object.fromEntries(NAMES.map((name) => [name, text(search[name])])) };
}

/** The same for the API; what is half typed is left out until it is whole. */
export function queryOf({ status, method, path, client, slow }: Filter, tail: number): URLSearchParams {
  const query = new URLSearchParams({ follow: "true", tail: String(tail) });
  if (status !== "") query.set("status", status);
  if (method !== "") query.set("method", method);
  if (path !== "") query.set("path", path);
  if (isAddress(client.trim())) query.set("client", client.trim());
  if (/^\d{1,9}$/.test(slow.trim())) query.set("min_ms", slow.trim());
  return query;
}

function isAddress(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(text) || /^[0-9a-f:]*:[0-9a-f:]*:[0-9a-f.:]*$/i.test(text);
}
