import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { HeaderPolicy } from "@/api/types";
import type { GuardChange } from "./draft";

export const guardQuery = queryOptions({
  queryKey: ["guards"],
  queryFn: () => unwrap(api.GET("/api/guards")),
});

/** `force` sets also what this node cannot hold to. */
export function changeGuard(body: GuardChange, force: boolean) {
  const query = force ? { force: true } : {};
  return unwrap(api.PATCH("/api/guards", { params: { query }, body: body as never }));
}

export function clearGuard() {
  return unwrap(api.DELETE("/api/guards"));
}

const SCOPE = { scope: "cluster" };

export const headersQuery = queryOptions({
  queryKey: ["header-policies"],
  queryFn: () => unwrap(api.GET("/api/header-policies/{scope}", { params: { path: SCOPE } })),
});

export function setHeaders(preset: HeaderPolicy["preset"], headers: Record<string, string>) {
  const body = { preset, headers };
  return unwrap(api.PUT("/api/header-policies/{scope}", { params: { path: SCOPE }, body }));
}
