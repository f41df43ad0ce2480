import type { BuildLine } from "@/api/types";
import { Card, CardBody } from "@/ui/card";
import { Lines } from "@/ui/lines";
import { ProblemNote } from "@/ui/problem-note";
import { clock } from "@/ui/time";
import { LINES_MAX } from "./use-build-log";

interface Props {
  lines: BuildLine[];
  over: boolean;
  problem: unknown;
}

export function BuildLog({ lines, over, problem }: Props) {
  return (
    <Card title="Build log" className="min-w-0 overflow-hidden">
      {problem !== null ? (
        <CardBody>
          <ProblemNote error={problem} />
        </CardBody>
      ) : (
        <Lines label="Build log" count={lines.length} live={!over}>
          {lines.length >= LINES_MAX && (
            <p className="px-4 text-muted">Only the last {LINES_MAX} lines are shown.</p>
          )}
          {lines.map((line, place) => (
            <p
              key={place}
              className="grid grid-cols-[4.5rem_1fr] px-4 hover:bg-raised sm:grid-cols-[4.5rem_5rem_1fr]"
            >
              <span className="text-muted select-none">{clock(line.at)}</span>
              <span className="hidden truncate text-muted select-none sm:inline">{line.step}</span>
              <span className="min-w-0 wrap-anywhere whitespace-pre-wrap">{line.text}</span>
            </p>
          ))}
          {lines.length === 0 && (
            <p className="px-4 text-muted">{over ? "Nothing was written." : "Waiting for the first line…"}</p>
          )}
        </Lines>
      )}
    </Card>
  );
}
