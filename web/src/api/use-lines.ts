import { useEffect, useRef, useState } from "react";
import { follow } from "./stream";

/** So many lines are kept in the page. */
export const LINES_MAX = 5_000;
/** Lines come by the thousand: they are shown a few times a second. */
const SHOWN_EVERY_MS = 150;

export interface Lines<T> {
  lines: T[];
  /** How many wait while they are paused. */
  held: number;
  open: boolean;
  problem: unknown;
}

/** What a stream that does not end says, in the order of time, as it comes. */
export function useLines<T extends { at: string }>(url: string, paused: boolean): Lines<T> {
  const [lines, setLines] = useState<T[]>([]);
  const [held, setHeld] = useState(0);
  const [open, setOpen] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const waiting = useRef<T[]>([]);
  // Whether what waits is all again that was there, and more.
  const again = useRef(false);
  const [shown, setShown] = useState(url);
  if (shown !== url) {
    // What was shown is of something else.
    setShown(url);
    setLines([]);
    setProblem(null);
  }
  useEffect(() => {
    return follow<T>(url, {
      forEver: true,
      onOpen: () => {
        waiting.current = [];
        again.current = true;
        setProblem(null);
        setOpen(true);
      },
      onValue: (line) => {
        waiting.current = [...waiting.current.slice(1 - LINES_MAX), line];
      },
      onTrouble: setProblem,
      onProblem: setProblem,
    });
  }, [url]);
  useEffect(() => {
    const timer = setInterval(() => {
      const some = waiting.current;
      setHeld(paused ? some.length : 0);
      if (paused || some.length === 0) return;
      const whole = again.current;
      waiting.current = [];
      again.current = false;
      setLines((lines) => inOrder(whole ? some : [...lines, ...some]).slice(-LINES_MAX));
    }, SHOWN_EVERY_MS);
    return () => clearInterval(timer);
  }, [paused]);
  return { lines, held, open, problem };
}

/** Lines of several nodes come mixed. */
export function inOrder<T extends { at: string }>(lines: T[]): T[] {
  return lines.sort((one, other) => (one.at < other.at ? -1 : one.at > other.at ? 1 : 0));
}
