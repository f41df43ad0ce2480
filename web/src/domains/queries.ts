import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { everything } from "@/api/pages";

export function domainsQuery(project: string) {
  return queryOptions({
    queryKey: ["domains", project],
    queryFn: () =>
      everything((query) => unwrap(api.GET("/api/domains", { params: { query: { ...query, project } } }))),
  });
}

/** What every node sees of a domain now. They ask the DNS for it, so it is asked for when somebody looks. */
export function lookQuery(domain: string) {
  return queryOptions({
    queryKey: ["look", domain],
    staleTime: 30_000,
    queryFn: () => unwrap(api.GET("/api/domains/{domain}/look", { params: { path: { domain } } })),
  });
}

export function createDomain(project: string, environment: string | undefined, name: string) {
  const body = { project, name, ...(environment === undefined ? {} : { environment }) };
  return unwrap(api.POST("/api/domains", { body }));
}

export function verifyDomain(domain: string) {
  return unwrap(api.POST("/api/domains/{domain}/verify", { params: { path: { domain } } }));
}

export function deleteDomain(domain: string) {
  return unwrap(api.DELETE("/api/domains/{domain}", { params: { path: { domain } } }));
}
