import type { ITheme } from "@xterm/xterm";
import { isDark, whenShadeChanges } from "@/ui/colour";

const LIGHT: ITheme = {
  background: "#ffffff",
  foreground: "#18181b",
  cursor: "#4338ca",
  cursorAccent: "#ffffff",
  selectionBackground: "#c7d2fe",
  black: "#18181b",
  red: "#b3261e",
  green: "#15703c",
  yellow: "#92560a",
  blue: "#1d4ed8",
  magenta: "#86198f",
  cyan: "#0e6e83",
  white: "#5b5b66",
};
const DARK: ITheme = {
  background: "#0e0e11",
  foreground: "#f4f4f5",
  cursor: "#a5b4fc",
  cursorAccent: "#0e0e11",
  selectionBackground: "#3f3f6e",
  black: "#6d6d78",
  red: "#fb8b85",
  green: "#4ade80",
  yellow: "#fbbf24",
  blue: "#93b4fd",
  magenta: "#e59bf0",
  cyan: "#67d8ee",
  white: "#f4f4f5",
};

/** Tells the colours of the theme, now and whenever it becomes another, until the returned function is called. */
export function followColours(tell: (colours: ITheme) => void): () => void {
  const change = () => tell(isDark() ? DARK : LIGHT);
  change();
  return whenShadeChanges(change);
}
