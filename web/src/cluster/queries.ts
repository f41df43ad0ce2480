import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";

export const statusQuery = queryOptions({
  queryKey: ["status"],
  queryFn: () => unwrap(api.GET("/api/status")),
});

export const placementQuery = queryOptions({
  queryKey: ["placement"],
  queryFn: () => unwrap(api.GET("/api/placement")),
});

export const tokensQuery = queryOptions({
  queryKey: ["tokens"],
  queryFn: async () => (await unwrap(api.GET("/api/nodes/tokens"))).items,
});
