import { useSyncExternalStore } from "react";
import { unreachable } from "./problem";

/** How the page reaches the cluster: through the node that serves it. */
export interface Connection {
  /** Since when the node has not answered, in milliseconds. */
  readonly silentSince: number | null;
  /** Since when the node has known of no quorum, so that nothing can be changed, in milliseconds. */
  readonly noQuorumSince: number | null;
}

let connection: Connection = { silentSince: null, noQuorumSince: null };
const listeners = new Set<() => void>();
let loss = new AbortController();

function set(next: Connection) {
  const { silentSince, noQuorumSince } = connection;
  if (next.silentSince === silentSince && next.noQuorumSince === noQuorumSince) return;
  connection = next;
  for (const listener of listeners) listener();
}

/** Notes that the node answered, and what it said of the quorum. */
export function answered(response: Response) {
  const seconds = response.headers.get("x-temps-no-quorum-seconds");
  noteQuorum(seconds === null, Number(seconds));
}

/** Notes that the node told something, such as whether it knows of a quorum, and for how many seconds of none. */
export function noteQuorum(quorum: boolean, seconds = 0) {
  const since = connection.noQuorumSince ?? Date.now() - seconds * 1_000;
  set({ silentSince: null, noQuorumSince: quorum ? null : since });
}

/** Notes that the node did not answer. */
export function silent() {
  set({ ...connection, silentSince: connection.silentSince ?? Date.now() });
}

/** Notes that the node is not there: nothing that it was asked is waited for any more. */
export function lost() {
  silent();
  const ended = loss;
  loss = new AbortController();
  ended.abort(unreachable());
}

/** Is aborted once the node is lost. */
export function lossSignal(): AbortSignal {
  return loss.signal;
}

export function currentConnection(): Connection {
  return connection;
}

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useConnection(): Connection {
  return useSyncExternalStore(subscribe, currentConnection);
}
