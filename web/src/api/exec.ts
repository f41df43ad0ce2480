import { heard, inputFrames, sizeFrame } from "./exec-frames";
import { Problem, problemOf, unreachable } from "./problem";

/** How a node ends what whoever began it may not do any more (RFC 6455 §7.4.1). */
const NOT_ALLOWED = 1008;

/** How a command's connection ended. */
export type End =
  | { type: "exit"; code: number | null }
  | { type: "broken" }
  | { type: "dismissed" }
  | { type: "refused"; problem: Problem };

interface Handlers {
  onOpen: () => void;
  onOutput: (octets: Uint8Array) => void;
  /** Called once, and nothing after it. */
  onEnd: (end: End) => void;
}

/** A command that runs in a replica. */
export interface Exec {
  input: (octets: Uint8Array) => void;
  resize: (rows: number, columns: number) => void;
  /** Ends it without a word: no handler is called any more. */
  close: () => void;
}

/** Runs a command in a replica, with a terminal. */
export function openExec(path: string, { onOpen, onOutput, onEnd }: Handlers): Exec {
  const socket = new WebSocket(window.location.origin.replace(/^http/, "ws") + path);
  socket.binaryType = "arraybuffer";
  let opened = false;
  let over = false;
  const end = (how: End) => {
    if (over) return;
    over = true;
    socket.close();
    onEnd(how);
  };
  socket.onopen = () => {
    opened = true;
    if (!over) onOpen();
  };
  socket.onmessage = ({ data }) => {
    const said = over ? undefined : heard(data);
    if (said?.type === "output") onOutput(said.octets);
    else if (said?.type === "exit") end(said);
  };
  socket.onclose = ({ code }) => {
    if (opened) end({ type: code === NOT_ALLOWED ? "dismissed" : "broken" });
    else if (!over) void whyNot(path).then((problem) => end({ type: "refused", problem }));
  };
  const send = (frame: string | Uint8Array<ArrayBuffer>) => {
    if (!over && socket.readyState === WebSocket.OPEN) socket.send(frame);
  };
  return {
    input: (octets) => inputFrames(octets).forEach(send),
    resize: (rows, columns) => send(sizeFrame(rows, columns)),
    close: () => {
      over = true;
      socket.close();
    },
  };
}

/** Why no WebSocket was opened. Browsers do not tell, so the same is asked for in the plain way, which runs nothing. */
async function whyNot(path: string): Promise<Problem> {
  try {
    const response = await fetch(path);
    const body: unknown = await response.json().catch(() => null);
    const problem = problemOf(body, response);
    return problem.field === "Upgrade" ? notOpened() : problem;
  } catch {
    return unreachable();
  }
}

/** All that can be checked beforehand is as it should be. */
function notOpened(): Problem {
  const hint =
    "see whether the replica still runs, and whether a proxy before the node lets WebSockets through";
  return new Problem(-1, "not_opened", "No terminal", "the terminal could not be opened", hint);
}
