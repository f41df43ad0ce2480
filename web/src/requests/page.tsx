import { useNavigate, useSearch } from "@tanstack/react-router";
import { Pause, Play } from "lucide-react";
import { useState } from "react";
import type { RequestLine } from "@/api/types";
import { useLines } from "@/api/use-lines";
import { EnvironmentPicker } from "@/environments/picker";
import { useEnvironment, useProject } from "@/projects/project";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Page } from "@/ui/page";
import { ProblemNote } from "@/ui/problem-note";
import { filterOf, queryOf, searchOf, type Filter } from "./filter";
import { FilterFields } from "./filter-fields";
import { OverTime } from "./over-time";
import { RequestTable } from "./table";

/** How many of the latest requests of each node are asked for, and shown in all. */
const TAIL = 200;
const SHOWN_MAX = 500;

export default function RequestsPage() {
  const { name } = useProject();
  const { environment } = useEnvironment();
  return (
    <Page
      title="Requests"
      tab={`Requests of ${name}`}
      about="What every node's edge answers, as it happens. The latest 1,000 are kept at each node, without their queries."
      actions={<EnvironmentPicker />}
    >
      {environment !== undefined && (
        <Requests key={environment.id} project={name} environment={environment.name} />
      )}
    </Page>
  );
}

function Requests({ project, environment }: { project: string; environment: string }) {
  const [paused, setPaused] = useState(false);
  const [filter, setFilter] = useFilter();
  const place = `${encodeURIComponent(project)}/environments/${encodeURIComponent(environment)}`;
  const url = `/api/projects/${place}/requests?${queryOf(filter, TAIL)}`;
  const { lines, held, problem, open } = useLines<RequestLine>(url, paused);
  return (
    <Card className="overflow-hidden">
      <CardBody className="flex flex-wrap items-end gap-3 border-b border-line">
        <FilterFields filter={filter} onChange={setFilter} />
        <Button aria-pressed={paused} onClick={() => setPaused(!paused)}>
          {paused ? <Play aria-hidden /> : <Pause aria-hidden />}
          {paused ? `Go on${held > 0 ? ` (${held} new)` : ""}` : "Pause"}
        </Button>
      </CardBody>
      {problem !== null && (
        <CardBody>
          <ProblemNote error={problem} />
        </CardBody>
      )}
      {lines.length === 0 ? (
        <p className="px-4 py-8 text-center text-muted" role="status">
          {!open
            ? "Waiting …"
            : Object.keys(searchOf(filter)).length > 0
              ? "No request was like that yet."
              : "No request yet. Open the app, and it appears here."}
        </p>
      ) : (
        <>
          <OverTime lines={lines} />
          <RequestTable lines={lines.slice(-SHOWN_MAX).reverse()} />
        </>
      )}
    </Card>
  );
}

/** The filter is in the page's address, so that it survives a reload and can be passed on. */
function useFilter(): [Filter, (filter: Filter) => void] {
  const navigate = useNavigate();
  const search = useSearch({ strict: false });
  // The address follows what is written, which must not wait for it.
  const [filter, setFilter] = useState(() => filterOf(search));
  const set = (filter: Filter) => {
    setFilter(filter);
    void navigate({ to: ".", search: { env: search.env, ...searchOf(filter) }, replace: true });
  };
  return [filter, set];
}
