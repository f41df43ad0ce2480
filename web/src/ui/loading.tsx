import type { ReactNode } from "react";
import { ProblemNote } from "./problem-note";

interface Props<T> {
  query: { data: T | undefined; isError: boolean; error: unknown; refetch: () => Promise<unknown> };
  children: (data: T) => ReactNode;
}

/** What a query has: the data, even where asking again failed; else the problem, or that it is on its way. */
export function Loaded<T>({ query, children }: Props<T>) {
  if (query.data !== undefined) return children(query.data);
  if (query.isError) return <ProblemNote error={query.error} onRetry={() => void query.refetch()} />;
  return <Skeleton />;
}

export function Skeleton() {
  return (
    <div className="animate-pulse space-y-3 rounded-lg border border-line bg-surface p-4" role="status">
      <span className="sr-only">Loading</span>
      <div className="h-4 w-1/3 rounded bg-raised" />
      <div className="h-4 w-2/3 rounded bg-raised" />
      <div className="h-4 w-1/2 rounded bg-raised" />
    </div>
  );
}
