import { useQuery } from "@tanstack/react-query";
import { Unplug, Users } from "lucide-react";
import { useConnection } from "@/api/connection";
import type { Status } from "@/api/types";
import { statusQuery } from "@/cluster/queries";
import { duration } from "@/ui/time";
import { useNow } from "@/ui/now";
import { otherNodes } from "./other-nodes";

/** A request that broke is no lost node yet. */
const SILENT_MIN_MS = 1_500;
/** From when on it is said how long there has been no quorum. */
const SAID_FROM_MS = 1_000;

/** Says when this node, or the quorum, is lost, and what that means for the reader. */
export function Banner() {
  const { silentSince, noQuorumSince } = useConnection();
  // Known before it is needed: who else there is.
  const { data: status } = useQuery(statusQuery);
  if (silentSince !== null) return <NodeLost since={silentSince} status={status} />;
  if (noQuorumSince !== null) return <QuorumLost since={noQuorumSince} />;
  return null;
}

function NodeLost({ since, status }: { since: number; status: Status | undefined }) {
  const lasts = useNow(500) - since;
  const others = otherNodes(status, window.location);
  const isAlone = status?.nodes.length === 1;
  if (lasts < SILENT_MIN_MS) return null;
  return (
    <div role="alert" className="flex items-start gap-3 bg-danger px-4 py-2 text-white">
      <Unplug className="mt-0.5 size-4 shrink-0" aria-hidden />
      <p>
        This node has not answered for {duration(lasts)}.{" "}
        {isAlone ? "What" : "Apps are served on by the others; what"} you typed stays here.
        {others.length > 0 && (
          <>
            {" "}
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
          </>
        )}
      </p>
    </div>
  );
}

function QuorumLost({ since }: { since: number }) {
  const lasts = useNow(1_000) - since;
  return (
    <div role="alert" className="flex items-center gap-3 border-b border-line bg-raised px-4 py-2">
      <Users className="size-4 shrink-0 text-warn" aria-hidden />
      <span>
        Too few nodes can be reached to agree on changes
        {lasts > SAID_FROM_MS && `, for ${duration(lasts)} now`}. Apps are served on; what is shown is what
        this node last knew.
      </span>
    </div>
  );
}
