import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { follow } from "@/api/stream";
import type { Deployment } from "@/api/types";
import { isUnderWay } from "./phase";
import { deploymentQuery } from "./queries";

/** A deployment, at every change of it while it is under way. */
export function useDeployment(project: string, deployment: string) {
  const queries = useQueryClient();
  const options = deploymentQuery(project, deployment);
  const query = useQuery(options);
  const moves = query.data !== undefined && isUnderWay(query.data.phase);
  useEffect(() => {
    if (!moves) return;
    const key = deploymentQuery(project, deployment).queryKey;
    return follow<Deployment>(
      `/api/projects/${encodeURIComponent(project)}/deployments/${deployment}/events`,
      {
        onValue: (value) => queries.setQueryData(key, value),
      },
    );
  }, [moves, project, deployment, queries]);
  return query;
}
