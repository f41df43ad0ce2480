import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { HeaderPolicy } from "@/api/types";
import type { GuardChange } from "./draft";
import type { Scope } from "./scope";

const CLUSTER = "/api/guards";
const PROJECT = "/api/projects/{p}/guard";
const ENVIRONMENT = "/api/projects/{p}/environments/{e}/guard";

export const guardQuery = (scope: Scope) =>
  queryOptions({
    queryKey: ["guards", scope.id],
    queryFn: () => {
      const { project: p, environment: e } = scope;
      if (p === undefined) return unwrap(api.GET(CLUSTER));
      if (e === undefined) return unwrap(api.GET(PROJECT, { params: { path: { p } } }));
      return unwrap(api.GET(ENVIRONMENT, { params: { path: { p, e } } }));
    },
  });

/** `force` sets also what this node cannot hold to. */
export function changeGuard({ project: p, environment: e }: Scope, change: GuardChange, force: boolean) {
  const query = force ? { force: true } : {};
  const body = change as never;
  if (p === undefined) return unwrap(api.PATCH(CLUSTER, { params: { query }, body }));
  if (e === undefined) return unwrap(api.PATCH(PROJECT, { params: { query, path: { p } }, body }));
  return unwrap(api.PATCH(ENVIRONMENT, { params: { query, path: { p, e } }, body }));
}

export function clearGuard({ project: p, environment: e }: Scope) {
  if (p === undefined) return unwrap(api.DELETE(CLUSTER));
  if (e === undefined) return unwrap(api.DELETE(PROJECT, { params: { path: { p } } }));
  return unwrap(api.DELETE(ENVIRONMENT, { params: { path: { p, e } } }));
}

export const headersQuery = ({ id: scope }: Scope) =>
  queryOptions({
    queryKey: ["header-policies", scope],
    queryFn: () => unwrap(api.GET("/api/header-policies/{scope}", { params: { path: { scope } } })),
  });

export function setHeaders(
  { id: scope }: Scope,
  preset: HeaderPolicy["preset"],
  headers: Record<string, string>,
) {
  const body = { preset, headers };
  return unwrap(api.PUT("/api/header-policies/{scope}", { params: { path: { scope } }, body }));
}
