import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { follow } from "@/api/stream";
import type { Status } from "@/api/types";
import { statusQuery } from "./queries";

/** Keeps in step how the cluster is: how far behind nodes are is in no table whose changes are told. */
export function useStatusStream() {
  const queries = useQueryClient();
  useEffect(
    () =>
      follow<Status>("/api/status/stream", {
        forEver: true,
        onValue: (status) => queries.setQueryData(statusQuery.queryKey, status),
      }),
    [queries],
  );
}
