import { useQuery } from "@tanstack/react-query";
import { Pause, Play } from "lucide-react";
import { useState } from "react";
import { LINES_MAX } from "@/api/use-lines";
import { EnvironmentPicker } from "@/environments/picker";
import { replicasQuery } from "@/environments/queries";
import { useEnvironment, useProject } from "@/projects/project";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Field, Select } from "@/ui/field";
import { Lines } from "@/ui/lines";
import { Page } from "@/ui/page";
import { ProblemNote } from "@/ui/problem-note";
import { clock } from "@/ui/time";
import { matching, marked } from "./search";
import { useLog } from "./use-log";

const ALL = "";

export default function LogsPage() {
  const { name } = useProject();
  const { environment } = useEnvironment();
  return (
    <Page
      title="Logs"
      tab={`Logs of ${name}`}
      about="What the containers write, of all replicas, as it comes."
      actions={<EnvironmentPicker />}
    >
      {environment !== undefined && (
        <Log key={environment.id} project={name} environment={environment.name} />
      )}
    </Page>
  );
}

function Log({ project, environment }: { project: string; environment: string }) {
  const [replica, setReplica] = useState(ALL);
  const [wanted, setWanted] = useState("");
  const [paused, setPaused] = useState(false);
  const replicas = useQuery(replicasQuery(project, environment)).data ?? [];
  const { lines, held, problem, open } = useLog(project, environment, replica, paused);
  const shown = matching(lines, wanted);
  const short = (id: string) => id.slice(-6);
  return (
    <Card className="overflow-hidden">
      <CardBody className="flex flex-wrap items-end gap-3 border-b border-line">
        <div className="min-w-48 flex-1">
          <Field
            label="Search"
            type="search"
            value={wanted}
            onChange={(event) => setWanted(event.target.value)}
          />
        </div>
        {replicas.length > 1 && (
          <Select
            label="Replica"
            value={replica}
            options={[
              { value: ALL, text: "All replicas" },
              ...replicas.map(({ id }) => ({ value: id, text: `Replica ${short(id)}` })),
            ]}
            onChange={setReplica}
          />
        )}
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
      <Lines label="Log" count={shown.length} live={!paused} tall>
        {lines.length >= LINES_MAX && (
          <p className="px-4 text-muted">Only the last {LINES_MAX} lines are kept here.</p>
        )}
        {shown.map((line, place) => (
          <p
            key={place}
            className="grid grid-cols-[4.5rem_1fr] px-4 hover:bg-raised sm:grid-cols-[4.5rem_4rem_1fr]"
          >
            <time
              dateTime={line.at}
              title={new Date(line.at).toLocaleString()}
              className="text-muted select-none"
            >
              {clock(line.at)}
            </time>
            <span className="hidden text-muted select-none sm:inline" title={line.replica}>
              {short(line.replica)}
            </span>
            <span
              className={`min-w-0 wrap-anywhere whitespace-pre-wrap ${line.stream === "stderr" ? "text-warn" : ""}`}
            >
              {line.stream === "stderr" && <span className="sr-only">error output: </span>}
              {marked(line.text, wanted).map((part, at) =>
                part.found ? <mark key={at}>{part.text}</mark> : <span key={at}>{part.text}</span>,
              )}
            </span>
          </p>
        ))}
        {shown.length === 0 && (
          <p className="px-4 text-muted">
            {lines.length > 0 ? "No line has that in it." : open ? "Nothing was written yet." : "Waiting…"}
          </p>
        )}
      </Lines>
    </Card>
  );
}
