import { QueryCache, QueryClient } from "@tanstack/react-query";
import { asProblem } from "@/api/problem";
import { PASSWORD_CHANGE } from "@/session/session";

const RETRIES_MAX = 2;

/** What is known of the cluster. It is asked again when a stream says that it changed, not by the clock. */
export function makeQueries(onLoggedOut: () => void): QueryClient {
  const queries: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error) => {
        // Who changes their password is logged out for a moment.
        const changing = queries.isMutating({ mutationKey: PASSWORD_CHANGE }) > 0;
        if (asProblem(error).status === 401 && !changing) onLoggedOut();
      },
    }),
    defaultOptions: {
      queries: {
        staleTime: 2_000,
        // Whether there is a network says nothing about a node on it.
        networkMode: "always",
        retry: (failures, error) => asProblem(error).passes && failures < RETRIES_MAX,
        retryDelay: (failures) => 300 * 2 ** failures,
      },
      mutations: { networkMode: "always" },
    },
  });
  return queries;
}
