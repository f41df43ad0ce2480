import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";

/** How far behind nodes are, and whether they answer, is in no state that a stream could tell of. */
const LOOK_EVERY_MS = 5_000;

export const statusQuery = queryOptions({
  queryKey: ["status"],
  refetchInterval: LOOK_EVERY_MS,
  queryFn: () => unwrap(api.GET("/api/status")),
});

export const tokensQuery = queryOptions({
  queryKey: ["tokens"],
  queryFn: async () => (await unwrap(api.GET("/api/nodes/tokens"))).items,
});
