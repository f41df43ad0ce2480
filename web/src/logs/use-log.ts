import { useEffect, useRef, useState } from "react";
import { follow } from "@/api/stream";
import type { ContainerLine } from "@/api/types";

/** So many lines are kept in the page. */
export const LINES_MAX = 5_000;
const TAIL = 500;
/** Lines come by the thousand: they are shown a few times a second. */
const SHOWN_EVERY_MS = 150;

interface Log {
  lines: ContainerLine[];
  /** How many lines wait while the log is paused. */
  held: number;
  open: boolean;
  problem: unknown;
}

/** What an environment's containers write, in the order of time, as it comes. */
export function useLog(project: string, environment: string, replica: string, paused: boolean): Log {
  const [lines, setLines] = useState<ContainerLine[]>([]);
  const [held, setHeld] = useState(0);
  const [open, setOpen] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const waiting = useRef<ContainerLine[]>([]);
  useEffect(() => {
    waiting.current = [];
    const query = new URLSearchParams({
      follow: "true",
      tail: String(TAIL),
      ...(replica === "" ? {} : { replica }),
    });
    const place = `${encodeURIComponent(project)}/environments/${encodeURIComponent(environment)}`;
    return follow<ContainerLine>(`/api/projects/${place}/logs?${query}`, {
      forEver: true,
      onOpen: () => {
        waiting.current = [];
        setLines([]);
        setProblem(null);
        setOpen(true);
      },
      onValue: (line) => {
        waiting.current = [...waiting.current.slice(1 - LINES_MAX), line];
      },
      onProblem: setProblem,
    });
  }, [project, environment, replica]);
  useEffect(() => {
    const timer = setInterval(() => {
      const some = waiting.current;
      setHeld(paused ? some.length : 0);
      if (paused || some.length === 0) return;
      waiting.current = [];
      setLines((lines) => inOrder([...lines, ...some]).slice(-LINES_MAX));
    }, SHOWN_EVERY_MS);
    return () => clearInterval(timer);
  }, [paused]);
  return { lines, held, open, problem };
}

/** Lines of several nodes come mixed. */
export function inOrder<T extends { at: string }>(lines: T[]): T[] {
  return lines.sort((one, other) => (one.at < other.at ? -1 : one.at > other.at ? 1 : 0));
}
