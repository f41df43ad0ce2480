import { answered, lost, silent } from "./connection";
import { eventParser } from "./events";
import { Problem, problemOf, unreachable } from "./problem";
import { whenSeen, whileSeen } from "./visibility";
import { whileThere } from "./while-there";

/** How long to wait before a stream that broke is asked for again, at first and at most. */
const AGAIN_AFTER_MS = 500;
const AGAIN_AFTER_MS_MAX = 5_000;
/** Nodes break their silence every 15 s: who is silent for longer stands still, or is cut off. */
const SILENCE_MS_MAX = 20_000;

export interface Follow<T> {
  /** Called before the first value of each connection: what came before comes again. */
  onOpen?: () => void;
  onValue: (value: T) => void;
  /** Called once the node has ended the stream: nothing more will come. */
  onEnd?: () => void;
  /** Called when the node answers that it cannot now; the stream is asked for again. */
  onTrouble?: (error: unknown) => void;
  /** Called when the node refuses the stream; it is not asked for again then. */
  onProblem?: (error: unknown) => void;
  /** Whether an ended stream is to be asked for again. */
  forEver?: boolean;
  /** For how long it may be silent, in milliseconds; longer than a node is at most, unless told. */
  silenceMax?: number;
}

/**
 * Follows a stream of server-sent events until the returned function is called; reconnects where the link breaks. A page that
 * nobody sees lets go of it, and takes it up again.
 */
export function follow<T>(path: string, handlers: Follow<T>): () => void {
  const stop = new AbortController();
  void run(path, handlers, stop.signal);
  return () => stop.abort();
}

async function run<T>(path: string, handlers: Follow<T>, signal: AbortSignal) {
  let pause = AGAIN_AFTER_MS;
  while (!signal.aborted) {
    await whenSeen(signal);
    const seen = whileSeen(signal);
    try {
      const ended = await once(path, handlers, seen.signal, () => (pause = AGAIN_AFTER_MS));
      if (ended && !handlers.forEver) return handlers.onEnd?.();
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) return handlers.onProblem?.(error.cause);
      if (error instanceof Problem && error.status > 0) handlers.onTrouble?.(error);
      else if (error instanceof Silence) lost();
      // Else it was let go of because nobody looks.
      else if (!seen.signal.aborted) silent();
    } finally {
      seen.end();
    }
    await sleep(pause, signal);
    pause = Math.min(pause * 2, AGAIN_AFTER_MS_MAX);
  }
}

/** A refusal that asking again does not change. */
class Refused extends Error {}

/** Nothing came for longer than anything may take. */
class Silence extends Error {}

async function once<T>(
  path: string,
  handlers: Follow<T>,
  signal: AbortSignal,
  onValue: () => void,
): Promise<boolean> {
  // What this node knows, as of everything else: it tells also without a quorum.
  const url = new URL(path, window.location.origin);
  url.searchParams.set("consistency", "stale");
  const headers = { accept: "text/event-stream" };
  const lossOr = (loss: AbortSignal) => AbortSignal.any([signal, loss]);
  const response = await whileThere((loss) => fetch(url, { headers, signal: lossOr(loss) }));
  answered(response);
  if (!response.ok || response.body === null) {
    const body: unknown = await response.json().catch(() => null);
    const problem = problemOf(body, response);
    if (problem.passes) throw problem;
    throw new Refused("refused", { cause: problem });
  }
  handlers.onOpen?.();
  const parser = eventParser((data) => {
    onValue();
    handlers.onValue(JSON.parse(data) as T);
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await within(handlers.silenceMax ?? SILENCE_MS_MAX, reader.read());
    if (done) return true;
    parser.push(value);
  }
}

/** What is promised, if it comes in time. */
function within<T>(ms: number, promised: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Silence()), ms);
    promised.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Sends octets, telling how far it is; the client has no such thing. */
export function send<T>(
  path: string,
  body: Blob,
  headers: Record<string, string>,
  onProgress: (part: number) => void,
): Promise<T> {
  const sent = (loss: AbortSignal) => octets<T>(path, body, headers, onProgress, loss);
  return whileThere(sent);
}

function octets<T>(
  path: string,
  body: Blob,
  headers: Record<string, string>,
  onProgress: (part: number) => void,
  loss: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    loss.addEventListener("abort", () => request.abort());
    request.open("POST", path);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.total > 0 ? event.loaded / event.total : 0);
    request.onerror = request.onabort = () => reject(unreachable());
    request.onload = () => {
      const answer: unknown = parsed(request.responseText);
      if (request.status < 300) resolve(answer as T);
      else reject(problemOf(answer, new Response(null, { status: request.status })));
    };
    request.send(body);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
