import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { everything } from "@/api/pages";

export const projectsQuery = queryOptions({
  queryKey: ["projects"],
  queryFn: () => everything((query) => unwrap(api.GET("/api/projects", { params: { query } }))),
});

export function projectQuery(p: string) {
  return queryOptions({
    queryKey: ["projects", p],
    queryFn: () => unwrap(api.GET("/api/projects/{p}", { params: { path: { p } } })),
  });
}
