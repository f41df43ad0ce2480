import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";

/** The newest deployments of a project, a page of them. */
export function deploymentsQuery(p: string, environment?: string, limit = 50) {
  return queryOptions({
    queryKey: ["deployments", p, { environment, limit }],
    queryFn: async () => {
      const query = { limit: String(limit), ...(environment === undefined ? {} : { environment }) };
      const path = { p };
      return (await unwrap(api.GET("/api/projects/{p}/deployments", { params: { path, query } }))).items;
    },
  });
}

export function deploymentQuery(p: string, d: string) {
  return queryOptions({
    queryKey: ["deployments", p, d],
    queryFn: () => unwrap(api.GET("/api/projects/{p}/deployments/{d}", { params: { path: { p, d } } })),
  });
}

export function cancel(p: string, d: string) {
  return unwrap(api.POST("/api/projects/{p}/deployments/{d}/cancel", { params: { path: { p, d } } }));
}

export function rollBack(p: string, d: string) {
  return unwrap(api.POST("/api/projects/{p}/deployments/{d}/rollback", { params: { path: { p, d } } }));
}

/** Deploys again what a deployment was made of. */
export function deployAgain(p: string, environment: string, of: string) {
  const source = { type: "artifact" as const, of };
  const body = { environment, source };
  return unwrap(api.POST("/api/projects/{p}/deployments", { params: { path: { p } }, body }));
}

/** Deploys the newest commit of the project's repository. */
export function deployNewest(p: string, environment: string) {
  const body = { environment, source: { type: "git" as const } };
  return unwrap(api.POST("/api/projects/{p}/deployments", { params: { path: { p } }, body }));
}
