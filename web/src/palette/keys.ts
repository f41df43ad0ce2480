/** What a key does. */
export type Shortcut =
  | { does: "palette" | "help" | "search" | "new" }
  | { does: "go"; to: "/" | "/cluster" | "/settings" }
  /** The first of two keys. */
  | { does: "wait" };

interface Pressed {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** Where people are when they press a key. */
interface Where {
  /** Whether they write into a field. */
  writing: boolean;
  /** Whether a dialog is open. */
  dialog: boolean;
  /** Whether keys do something without Ctrl or Cmd. */
  single: boolean;
  /** Whether the key before was the first of two. */
  waiting: boolean;
}

const PLACES: Record<string, "/" | "/cluster" | "/settings"> = { p: "/", c: "/cluster", s: "/settings" };

/** What a key does there; nothing where it is for whatever has the focus. */
export function shortcutOf(pressed: Pressed, where: Where): Shortcut | undefined {
  const { key, ctrlKey, metaKey, altKey } = pressed;
  if (where.dialog || altKey) return undefined;
  if (ctrlKey || metaKey) return key.toLowerCase() === "k" ? { does: "palette" } : undefined;
  if (where.writing || !where.single) return undefined;
  if (where.waiting) {
    const to = PLACES[key];
    return to === undefined ? undefined : { does: "go", to };
  }
  switch (key) {
    case "?":
      return { does: "help" };
    case "/":
      return { does: "search" };
    case "n":
      return { does: "new" };
    case "g":
      return { does: "wait" };
    default:
      return undefined;
  }
}

/** What the key is called that is held for the palette. */
export const HELD = /Mac|iP(hone|ad)/.test(globalThis.navigator?.platform ?? "") ? "⌘" : "Ctrl";

/** All of them, for people. */
export const SHORTCUTS: readonly { keys: readonly string[]; text: string; single: boolean }[] = [
  { keys: [HELD, "K"], text: "Find a project, a page or what to do", single: false },
  { keys: ["Esc"], text: "Close a dialog or a menu", single: false },
  { keys: ["/"], text: "Search what the page lists", single: true },
  { keys: ["n"], text: "New project", single: true },
  { keys: ["g", "p"], text: "To the projects", single: true },
  { keys: ["g", "c"], text: "To the cluster", single: true },
  { keys: ["g", "s"], text: "To the settings", single: true },
  { keys: ["?"], text: "These shortcuts", single: true },
];
