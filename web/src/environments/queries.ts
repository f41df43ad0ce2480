import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { NewVariable } from "@/api/types";

export function replicasQuery(p: string, e: string) {
  return queryOptions({
    queryKey: ["replicas", p, e],
    queryFn: () =>
      unwrap(api.GET("/api/projects/{p}/environments/{e}/replicas", { params: { path: { p, e } } })),
  });
}

export function variablesQuery(p: string, e: string) {
  return queryOptions({
    queryKey: ["variables", p, e],
    queryFn: async () =>
      (await unwrap(api.GET("/api/projects/{p}/environments/{e}/env-vars", { params: { path: { p, e } } })))
        .items,
  });
}

export function setVariables(p: string, e: string, variables: NewVariable[]) {
  const body = { variables };
  return unwrap(api.PUT("/api/projects/{p}/environments/{e}/env-vars", { params: { path: { p, e } }, body }));
}

export function unsetVariable(p: string, e: string, name: string) {
  const path = { p, e, name };
  return unwrap(api.DELETE("/api/projects/{p}/environments/{e}/env-vars/{name}", { params: { path } }));
}

export function scale(p: string, e: string, replicas: number) {
  const body = { replicas };
  return unwrap(api.PUT("/api/projects/{p}/environments/{e}/scale", { params: { path: { p, e } }, body }));
}

export function createEnvironment(p: string, branch: string) {
  return unwrap(api.POST("/api/projects/{p}/environments", { params: { path: { p } }, body: { branch } }));
}

export function deleteEnvironment(p: string, e: string) {
  return unwrap(api.DELETE("/api/projects/{p}/environments/{e}", { params: { path: { p, e } } }));
}
