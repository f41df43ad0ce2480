import { useSyncExternalStore } from "react";

const KEY = "temps.single-keys";
const listeners = new Set<() => void>();

/** Whether keys do something without Ctrl or Cmd; who speaks to their computer may not want that. */
export function singleKeys(): boolean {
  return localStorage.getItem(KEY) !== "off";
}

export function setSingleKeys(on: boolean) {
  localStorage.setItem(KEY, on ? "on" : "off");
  for (const listener of listeners) listener();
}

export function useSingleKeys(): boolean {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, singleKeys);
}
