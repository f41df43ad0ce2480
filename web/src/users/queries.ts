import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { everything } from "@/api/pages";
import type { Role } from "./roles";

export const usersQuery = queryOptions({
  queryKey: ["users"],
  queryFn: () => everything((query) => unwrap(api.GET("/api/users", { params: { query } }))),
});

/** Without a password the cluster makes one, and the answer holds it. */
export function addUser(email: string, role: Role, password: string | null) {
  return unwrap(api.POST("/api/users", { body: { email, role, password } }));
}

export function changeUser(id: string, body: { role?: Role; password?: string }) {
  return unwrap(api.PATCH("/api/users/{id}", { params: { path: { id } }, body }));
}

export function removeUser(id: string) {
  return unwrap(api.DELETE("/api/users/{id}", { params: { path: { id } } }));
}
