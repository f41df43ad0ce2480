import { useSyncExternalStore } from "react";

const system = () => window.matchMedia("(prefers-color-scheme: dark)");

/** Whether what is shown is dark, as it was chosen or the system has it. */
export function isDark(): boolean {
  const chosen = document.documentElement.dataset.theme;
  return chosen === undefined ? system().matches : chosen === "dark";
}

/** Tells whenever the page may have become light or dark, until the returned function is called. */
export function whenShadeChanges(tell: () => void): () => void {
  const media = system();
  media.addEventListener("change", tell);
  const theme = new MutationObserver(tell);
  theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => {
    media.removeEventListener("change", tell);
    theme.disconnect();
  };
}

/** A colour of the theme as it is now, such as `good`, for what is not drawn by the style sheet. */
export function colourOf(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--color-${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** Has what is drawn by hand drawn again in the other shade. */
export function useShade(): boolean {
  return useSyncExternalStore(whenShadeChanges, isDark);
}
