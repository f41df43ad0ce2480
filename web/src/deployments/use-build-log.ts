import { useEffect, useState } from "react";
import { follow } from "@/api/stream";
import type { BuildLine } from "@/api/types";

/** So many lines are shown; what came before them is in the log still. */
export const LINES_MAX = 5_000;

interface Log {
  lines: BuildLine[];
  over: boolean;
  problem: unknown;
}

const NOTHING: Log = { lines: [], over: false, problem: null };

/** The build log of a deployment, line by line as it is written. */
export function useBuildLog(project: string, deployment: string): Log {
  const [log, setLog] = useState(NOTHING);
  useEffect(() => {
    let waiting: BuildLine[] = [];
    let timer: number | undefined;
    // Lines come by the thousand: they are shown a few times a second.
    const show = () => {
      timer = undefined;
      const some = waiting;
      waiting = [];
      setLog((log) => ({ ...log, lines: [...log.lines, ...some].slice(-LINES_MAX) }));
    };
    const path = `/api/projects/${encodeURIComponent(project)}/deployments/${deployment}/logs?follow=true`;
    const stop = follow<BuildLine>(path, {
      onOpen: () => {
        waiting = [];
        setLog(NOTHING);
      },
      onValue: (line) => {
        waiting.push(line);
        timer ??= window.setTimeout(show, 100);
      },
      onEnd: () => {
        show();
        setLog((log) => ({ ...log, over: true }));
      },
      onProblem: (problem) => setLog({ ...NOTHING, over: true, problem }),
    });
    return () => {
      stop();
      window.clearTimeout(timer);
    };
  }, [project, deployment]);
  return log;
}
