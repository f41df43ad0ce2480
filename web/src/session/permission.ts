import { useQuery } from "@tanstack/react-query";
import { sessionQuery } from "./session";

export type Permission = "read" | "deploy" | "write" | "exec" | "admin";

/** Whether the user may do that; what they may not is not offered. */
export function useMay(permission: Permission): boolean {
  return useQuery(sessionQuery).data?.permissions.includes(permission) ?? false;
}
