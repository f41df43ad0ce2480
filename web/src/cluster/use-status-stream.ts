import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { noteQuorum } from "@/api/connection";
import { follow } from "@/api/stream";
import type { Status } from "@/api/types";
import { statusQuery } from "./queries";

/** A node tells how the cluster is every two seconds: who is silent for longer than these is lost. */
const SILENCE_MS_MAX = 8_000;

/** Keeps in step how the cluster is: how far behind nodes are is in no table whose changes are told. */
export function useStatusStream() {
  const queries = useQueryClient();
  useEffect(
    () =>
      follow<Status>("/api/status/stream", {
        forEver: true,
        silenceMax: SILENCE_MS_MAX,
        onValue: (status) => {
          noteQuorum(status.quorum);
          queries.setQueryData(statusQuery.queryKey, status);
        },
      }),
    [queries],
  );
}
