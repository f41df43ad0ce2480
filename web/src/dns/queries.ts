import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { everything } from "@/api/pages";

export const providersQuery = queryOptions({
  queryKey: ["dns-providers"],
  queryFn: () => everything((query) => unwrap(api.GET("/api/dns-providers", { params: { query } }))),
});

export const zonesQuery = queryOptions({
  queryKey: ["dns-zones"],
  queryFn: () => everything((query) => unwrap(api.GET("/api/dns-zones", { params: { query } }))),
});

/** Has the answering node look at a zone now. */
export function lookAtZone(zone: string) {
  return unwrap(api.GET("/api/dns-zones/{zone}", { params: { path: { zone } } }));
}

interface NewProvider {
  name: string;
  type: string;
  zones: string[];
  credentials: Record<string, string>;
  takes_over: boolean;
}

export function addProvider(body: NewProvider) {
  return unwrap(api.POST("/api/dns-providers", { body: body as never }));
}

export function changeProvider(id: string, body: Partial<Omit<NewProvider, "name" | "type">>) {
  return unwrap(api.PATCH("/api/dns-providers/{id}", { params: { path: { id } }, body: body as never }));
}

export function removeProvider(id: string) {
  return unwrap(api.DELETE("/api/dns-providers/{id}", { params: { path: { id } } }));
}
