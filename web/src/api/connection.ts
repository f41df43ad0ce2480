import { useSyncExternalStore } from "react";

/** How the page reaches the cluster: through the node that serves it. */
export interface Connection {
  /** Since when the node has not answered, in milliseconds. */
  readonly silentSince: number | null;
  /** For how many seconds the node has known of no quorum, so that nothing can be changed. */
  readonly withoutQuorum: number | null;
}

let connection: Connection = { silentSince: null, withoutQuorum: null };
const listeners = new Set<() => void>();

function set(next: Connection) {
  const { silentSince, withoutQuorum } = connection;
  if (next.silentSince === silentSince && next.withoutQuorum === withoutQuorum) return;
  connection = next;
  for (const listener of listeners) listener();
}

/** Notes that the node answered, and what it said of the quorum. */
export function answered(response: Response) {
  const seconds = response.headers.get("x-temps-no-quorum-seconds");
  set({ silentSince: null, withoutQuorum: seconds === null ? null : Number(seconds) });
}

/** Notes that the node did not answer. */
export function silent() {
  set({ ...connection, silentSince: connection.silentSince ?? Date.now() });
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
