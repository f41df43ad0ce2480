import type { Terminal } from "@xterm/xterm";
import { useEffect, useRef } from "react";
import { openExec, type End } from "@/api/exec";
import { makeEmulator } from "./emulator";

/** How many octets may wait to be drawn; a command that writes faster is let go before the page is out of memory. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;

export type Phase = { type: "opening" } | { type: "open" } | { type: "flooded" } | End;

interface Props {
  /** Where the command is run; it is run again when this or the attempt becomes another. */
  path: string;
  attempt: number;
  /** Whether screen readers are told what is written. */
  spoken: boolean;
  onPhase: (phase: Phase) => void;
  /** Called by the keys that lead out of the terminal. */
  onLeave: () => void;
}

/** A terminal with the command that runs in it. */
export function Screen({ path, attempt, spoken, onPhase, onLeave }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const emulator = useRef<Terminal>(null);
  const runs = useRef(false);
  const tell = useRef({ onPhase, onLeave });
  useEffect(() => {
    tell.current = { onPhase, onLeave };
  });
  useEffect(() => {
    if (box.current === null) return;
    const keys = { runs: () => runs.current, onLeave: () => tell.current.onLeave() };
    const { terminal, dispose } = makeEmulator(box.current, keys);
    emulator.current = terminal;
    return dispose;
  }, []);
  useEffect(() => {
    if (emulator.current === null) return;
    return run(emulator.current, path, (phase) => {
      runs.current = phase.type === "open";
      tell.current.onPhase(phase);
    });
  }, [path, attempt]);
  useEffect(() => {
    if (emulator.current !== null) emulator.current.options.screenReaderMode = spoken;
  }, [spoken]);
  return <div ref={box} className="h-full" />;
}

/** Runs a command in a terminal until it ends, or the returned function is called. */
function run(terminal: Terminal, path: string, onPhase: (phase: Phase) => void): () => void {
  const text = new TextEncoder();
  let waiting = 0;
  terminal.reset();
  onPhase({ type: "opening" });
  const exec = openExec(path, {
    onOpen: () => {
      exec.resize(terminal.rows, terminal.cols);
      onPhase({ type: "open" });
      terminal.focus();
    },
    onOutput: (octets) => {
      waiting += octets.length;
      terminal.write(octets, () => (waiting -= octets.length));
      if (waiting <= WAITING_BYTES_MAX) return;
      exec.close();
      onPhase({ type: "flooded" });
    },
    onEnd: onPhase,
  });
  const listeners = [
    terminal.onData((typed) => exec.input(text.encode(typed))),
    terminal.onBinary((typed) => exec.input(Uint8Array.from(typed, (one) => one.charCodeAt(0)))),
    terminal.onResize(({ rows, cols }) => exec.resize(rows, cols)),
  ];
  return () => {
    for (const listener of listeners) listener.dispose();
    exec.close();
  };
}
