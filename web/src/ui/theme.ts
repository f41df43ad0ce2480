import { useSyncExternalStore } from "react";

/** As the system has it, unless chosen. */
export type Theme = "system" | "light" | "dark";

const KEY = "temps.theme";
const listeners = new Set<() => void>();

function stored(): Theme {
  const value = localStorage.getItem(KEY);
  return value === "light" || value === "dark" ? value : "system";
}

/** Puts the chosen theme onto the page. */
export function applyTheme() {
  const theme = stored();
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** Has the page take the theme that is chosen on another one. */
export function followTheme() {
  window.addEventListener("storage", ({ key }) => {
    if (key === KEY) applyTheme();
  });
}

export function setTheme(theme: Theme) {
  localStorage.setItem(KEY, theme);
  applyTheme();
  for (const listener of listeners) listener();
}

export function useTheme(): Theme {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, stored);
}
