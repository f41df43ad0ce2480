import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { answered, silent, useConnection } from "@/api/connection";
import { reachable } from "@/api/reachable";

const ASK_AGAIN_MS = 1_000;

/** Asks until the node is back, then reads everything again. */
export function useReturn() {
  const lost = useConnection().silentSince !== null;
  const queries = useQueryClient();
  useEffect(() => {
    if (!lost) return;
    const timer = setInterval(() => {
      void reachable().then((response) => {
        if (response === null) return silent();
        answered(response);
        void queries.invalidateQueries();
      });
    }, ASK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [lost, queries]);
}
