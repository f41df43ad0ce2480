import { infiniteQueryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";

/** How many changes are asked for at once. */
const PAGE_RECORDS = "100";

/** The changes, newest first; older ones when somebody wants them. */
export const auditQuery = infiniteQueryOptions({
  queryKey: ["audit"],
  initialPageParam: undefined as string | undefined,
  queryFn: ({ pageParam }) => {
    const query = { limit: PAGE_RECORDS, ...(pageParam === undefined ? {} : { cursor: pageParam }) };
    return unwrap(api.GET("/api/audit/logs", { params: { query } }));
  },
  getNextPageParam: (page) => page.next_cursor ?? undefined,
});
