import type { QueryClient } from "@tanstack/react-query";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { follow } from "./stream";
import type { Changes } from "./types";

/** What is shown of each table of the cluster's state: the first words of the queries' keys. */
const SHOWN: Record<string, string[]> = {
  nodes: ["status", "domains", "placement"],
  projects: ["projects"],
  environments: ["projects", "deployments"],
  deployments: ["deployments", "projects", "status"],
  replicas: ["replicas", "projects", "deployments", "status", "placement"],
  variables: ["variables"],
  domains: ["domains"],
  certificates: ["domains", "status", "certificates"],
  orders: ["domains", "status"],
  settings: ["settings", "dns-zones"],
  join_tokens: ["tokens"],
  users: ["users"],
  api_keys: ["api-keys"],
  sessions: ["sessions"],
  audit: ["audit"],
  dns_providers: ["dns-providers", "status"],
  guards: ["guards"],
  header_policies: ["header-policies"],
};

/** The queries that a change of those tables makes old. */
export function outdated(tables: readonly string[]): string[] {
  return [...new Set(tables.flatMap((table) => SHOWN[table] ?? []))];
}

function refresh(queries: QueryClient, tables: readonly string[]) {
  for (const key of outdated(tables)) void queries.invalidateQueries({ queryKey: [key] });
}

/** How long to wait before a stream that was refused is asked for again. */
const REFUSED_PAUSE_MS = 3_000;

/** Keeps what is shown in step with the cluster, by one stream for the whole page. */
export function useChanges() {
  const queries = useQueryClient();
  useEffect(() => {
    let connections = 0;
    let again: ReturnType<typeof setTimeout> | undefined;
    let stop = begin();
    function begin() {
      return follow<Changes>("/api/changes", {
        forEver: true,
        // What changed while the link was gone is not told.
        onOpen: () => (connections++ > 0 ? void queries.invalidateQueries() : undefined),
        onValue: ({ tables }) => refresh(queries, tables),
        // Whoever is logged out learns it by asking; who changed their password is logged in again.
        onProblem: () => {
          void queries.invalidateQueries();
          again = setTimeout(() => (stop = begin()), REFUSED_PAUSE_MS);
        },
      });
    }
    return () => {
      clearTimeout(again);
      stop();
    };
  }, [queries]);
}
