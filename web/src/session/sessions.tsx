import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { everything } from "@/api/pages";
import type { Session } from "@/api/types";
import { useChange } from "@/api/use-change";
import { Ago } from "@/ui/ago";
import { Tag } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Loaded } from "@/ui/loading";
import { ProblemNote } from "@/ui/problem-note";

const sessionsQuery = queryOptions({
  queryKey: ["sessions"],
  queryFn: () => everything((query) => unwrap(api.GET("/api/user/sessions", { params: { query } }))),
});

function endSession(id: string) {
  return unwrap(api.DELETE("/api/user/sessions/{id}", { params: { path: { id } } }));
}

/** The browsers that one is logged in with, newest first. */
export function Sessions() {
  const query = useQuery(sessionsQuery);
  return (
    <Card
      title="Sessions"
      about="Browsers that you are logged in with. Each has to log in again after a week."
    >
      <Loaded query={query}>
        {(sessions) => (
          <ul className="divide-y divide-line">
            {[...sessions].reverse().map((session) => (
              <Item key={session.id} session={session} />
            ))}
          </ul>
        )}
      </Loaded>
    </Card>
  );
}

function Item({ session }: { session: Session }) {
  const { id, current, created_at, expires_at } = session;
  const call = useChange(() => endSession(id), ["sessions"]);
  return (
    <li className="space-y-2 px-4 py-2.5">
      <div className="flex min-h-9 flex-wrap items-center justify-between gap-3">
        <span className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <span>
            Logged in <Ago at={created_at} />
            <span className="text-muted">
              , ends <Ago at={expires_at} />
            </span>
          </span>
          {current && <Tag>this browser</Tag>}
        </span>
        {!current && (
          <Button busy={call.isPending} onClick={() => call.mutate()}>
            End it
          </Button>
        )}
      </div>
      <ProblemNote error={call.error} />
    </li>
  );
}
