import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import type { NewSource } from "@/api/types";

interface Wish {
  limit: string;
  environment?: string;
  search?: string;
  cursor?: string;
}

function page(p: string, query: Wish) {
  return unwrap(api.GET("/api/projects/{p}/deployments", { params: { path: { p }, query } }));
}

function wish(environment: string | undefined, limit: number): Wish {
  return { limit: String(limit), ...(environment === undefined ? {} : { environment }) };
}

/** The newest deployments of a project, so many at most. */
export function deploymentsQuery(p: string, environment?: string, limit = 50) {
  return queryOptions({
    queryKey: ["deployments", p, { environment, limit }],
    queryFn: async () => (await page(p, wish(environment, limit))).items,
  });
}

/** How many deployments are asked for at once. */
const PAGE_DEPLOYMENTS = 50;

/** The deployments that mention a text, newest first; earlier ones when somebody wants them. */
export function allDeploymentsQuery(p: string, environment: string | undefined, search: string) {
  return infiniteQueryOptions({
    queryKey: ["deployments", p, { environment, search }],
    placeholderData: keepPreviousData,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam: cursor }) => {
      const query = { ...wish(environment, PAGE_DEPLOYMENTS), ...(search === "" ? {} : { search }) };
      return page(p, cursor === undefined ? query : { ...query, cursor });
    },
    getNextPageParam: ({ next_cursor }) => next_cursor ?? undefined,
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

/** Deploys a source to an environment; to production unless told. */
export function deploy(p: string, body: { environment?: string; source: NewSource }) {
  return unwrap(api.POST("/api/projects/{p}/deployments", { params: { path: { p } }, body }));
}
