import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { everything } from "@/api/pages";

export const certificatesQuery = queryOptions({
  queryKey: ["certificates"],
  queryFn: () => everything((query) => unwrap(api.GET("/api/certificates", { params: { query } }))),
});

export function addCertificate(chain: string, key: string) {
  return unwrap(api.POST("/api/certificates", { body: { chain, key } }));
}

export function deleteCertificate(id: string) {
  return unwrap(api.DELETE("/api/certificates/{id}", { params: { path: { id } } }));
}
