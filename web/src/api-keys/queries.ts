import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { everything } from "@/api/pages";

export const apiKeysQuery = queryOptions({
  queryKey: ["api-keys"],
  queryFn: () => everything((query) => unwrap(api.GET("/api/api-keys", { params: { query } }))),
});

/** What each permission is for; the program knows, and it changes with it alone. */
export const permissionsQuery = queryOptions({
  queryKey: ["permissions"],
  staleTime: Infinity,
  queryFn: () => unwrap(api.GET("/api/api-keys/permissions")),
});

export function createKey(name: string, permissions: string[] | null, days: number | null) {
  return unwrap(api.POST("/api/api-keys", { body: { name, permissions, expires_in_days: days } }));
}

export function revokeKey(id: string) {
  return unwrap(api.DELETE("/api/api-keys/{id}", { params: { path: { id } } }));
}
