import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { AuditRecord } from "@/api/types";
import { apiKeysQuery } from "@/api-keys/queries";
import { projectsQuery } from "@/projects/queries";
import { Ago } from "@/ui/ago";
import { Tag } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Select } from "@/ui/field";
import { Skeleton } from "@/ui/loading";
import { Page } from "@/ui/page";
import { ProblemNote } from "@/ui/problem-note";
import { Search } from "@/ui/search";
import { matches } from "@/ui/words";
import { usersQuery } from "@/users/queries";
import { auditQuery } from "./queries";
import { idIn, namesOf, said, subject, type Names } from "./said";

export default function AuditPage() {
  const query = useInfiniteQuery(auditQuery);
  const names = useNames();
  const [wanted, setWanted] = useState("");
  const [about, setAbout] = useState("");
  const records = query.data?.pages.flatMap(({ items }) => items);
  const shown = records?.filter(
    (record) =>
      (about === "" || subject(record.action) === about) && matches(searched(record, names), wanted),
  );
  const subjects = [...new Set(records?.map(({ action }) => subject(action)))].sort();
  return (
    <Page title="Audit log" about="Who changed what, when and from where. The last 10,000 changes are kept.">
      {shown === undefined ? (
        query.isError ? (
          <ProblemNote error={query.error} onRetry={() => void query.refetch()} />
        ) : (
          <Skeleton />
        )
      ) : (
        <Card>
          <div className="flex flex-wrap gap-3 border-b border-line p-3">
            <Search
              label="Search by person, change, target or address"
              className="min-w-64 flex-1"
              value={wanted}
              onChange={setWanted}
            />
            <Select
              label="What it is about"
              value={about}
              options={[
                { value: "", text: "Everything" },
                ...subjects.map((value) => ({ value, text: value })),
              ]}
              onChange={setAbout}
            />
          </div>
          <ul aria-label="Changes" className="divide-y divide-line">
            {shown.map((record) => (
              <Item key={record.index} record={record} names={names} />
            ))}
          </ul>
          {shown.length === 0 && (
            <p className="px-4 py-6 text-center text-muted">
              None of the changes looked through is like that.
            </p>
          )}
          <div className="flex flex-wrap items-center gap-3 border-t border-line px-4 py-3">
            <span className="mr-auto text-muted tabular-nums">
              {shown.length === records?.length
                ? `${shown.length} changes`
                : `${shown.length} of ${records?.length} changes`}
              {!query.hasNextPage && ", that is all"}
            </span>
            {query.isFetchNextPageError && <ProblemNote error={query.error} />}
            {query.hasNextPage && (
              <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                Older changes
              </Button>
            )}
          </div>
        </Card>
      )}
    </Page>
  );
}

function useNames(): Names {
  const projects = useQuery(projectsQuery).data ?? [];
  const users = useQuery(usersQuery).data ?? [];
  const keys = useQuery(apiKeysQuery).data ?? [];
  return namesOf(projects, users, keys);
}

function searched(record: AuditRecord, names: Names): string {
  const { actor, action, from } = record;
  const { done, to } = said(record, names);
  return [actor.name, actor.email, actor.type, action, done, to, from].join(" ");
}

function Item({ record, names }: { record: AuditRecord; names: Names }) {
  const { at, actor, action, from } = record;
  const { done, to } = said(record, names);
  return (
    <li className="flex items-start justify-between gap-4 px-4 py-2.5">
      <div className="min-w-0 space-y-0.5">
        <p className="wrap-anywhere">
          <span className="font-medium">{actor.email ?? actor.name ?? actor.id}</span> {done}{" "}
          <span className={idIn(to) ? "font-mono text-xs text-muted" : "font-medium"}>{to}</span>
        </p>
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-muted">
          <span className="font-mono">{action}</span>
          {from != null && <span className="font-mono">{from}</span>}
          {actor.type !== "user" && <Tag>{how(actor)}</Tag>}
        </p>
      </div>
      <span className="shrink-0 text-muted">
        <Ago at={at} />
      </span>
    </li>
  );
}

/** By what somebody did it who is no user at a keyboard. */
function how({ type, name }: AuditRecord["actor"]): string {
  if (type === "api_key") return name === null || name === undefined ? "a key that is gone" : `key ${name}`;
  return type;
}
