import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Unplug, Users } from "lucide-react";
import { useEffect } from "react";
import { answered, silent, useConnection } from "@/api/connection";
import { reachable } from "@/api/reachable";
import type { Status } from "@/api/types";
import { statusQuery } from "@/cluster/queries";
import { duration } from "@/ui/time";
import { useNow } from "@/ui/now";
import { otherNodes } from "./other-nodes";

const ASK_AGAIN_MS = 1_000;
/** A request that broke is no lost node yet. */
const SILENT_MIN_MS = 1_500;

/** Says when this node, or the quorum, is lost, and what that means for the reader. */
export function Banner() {
  const { silentSince, withoutQuorum } = useConnection();
  // Known before it is needed: who else there is.
  const { data: status } = useQuery(statusQuery);
  useReturn(silentSince !== null);
  if (silentSince !== null) return <NodeLost since={silentSince} status={status} />;
  if (withoutQuorum !== null) return <QuorumLost seconds={withoutQuorum} />;
  return null;
}

function NodeLost({ since, status }: { since: number; status: Status | undefined }) {
  const lasts = useNow(500) - since;
  const others = otherNodes(status, window.location);
  if (lasts < SILENT_MIN_MS) return null;
  return (
    <div role="alert" className="flex flex-wrap items-center gap-x-3 gap-y-1 bg-danger px-4 py-2 text-white">
      <Unplug className="size-4" aria-hidden />
      <span>
        This node has not answered for {duration(lasts)}. Apps are served on by the others; what you typed
        stays here.
      </span>
      {others.length > 0 && (
        <span>
          Go on at{" "}
          {others.map(({ name, origin }) => (
            <a
              key={name}
              className="mr-2 underline"
              href={origin + window.location.pathname + window.location.search}
            >
              {name}
            </a>
          ))}
        </span>
      )}
    </div>
  );
}

function QuorumLost({ seconds }: { seconds: number }) {
  return (
    <div role="alert" className="flex items-center gap-3 border-b border-line bg-raised px-4 py-2">
      <Users className="size-4 shrink-0 text-warn" aria-hidden />
      <span>
        Too few nodes can be reached to agree on changes
        {seconds > 0 && `, for ${duration(seconds * 1_000)} now`}. Apps are served on; what is shown is what
        this node last knew.
      </span>
    </div>
  );
}

/** Asks until the node is back, then reads everything again. */
function useReturn(lost: boolean) {
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
