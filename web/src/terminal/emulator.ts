import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { followColours } from "./colours";

/** How many lines that have scrolled away are kept. */
const SCROLLBACK_LINES = 5_000;
/** As WCAG asks of text; programs choose colours without knowing the theme. */
const CONTRAST_MIN = 4.5;

export interface Keys {
  /** Whether keys go to a command; Tab leaves the terminal otherwise. */
  runs: () => boolean;
  /** Called by the keys that lead out of the terminal. */
  onLeave: () => void;
}

/** A terminal in an element, as large as that and in the colours of the theme. */
export function makeEmulator(element: HTMLElement, keys: Keys): { terminal: Terminal; dispose: () => void } {
  const font = getComputedStyle(document.documentElement).getPropertyValue("--font-mono");
  const terminal = new Terminal({
    cursorBlink: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
    fontFamily: font === "" ? "monospace" : font,
    fontSize: 13,
    lineHeight: 1.2,
    minimumContrastRatio: CONTRAST_MIN,
    scrollback: SCROLLBACK_LINES,
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.attachCustomKeyEventHandler((event) => taken(event, terminal, keys));
  terminal.open(element);
  const size = new ResizeObserver(() => fit.fit());
  size.observe(element);
  const stop = followColours((colours) => (terminal.options.theme = colours));
  return {
    terminal,
    dispose: () => {
      stop();
      size.disconnect();
      terminal.dispose();
    },
  };
}

/** Whether a key is the terminal's; the page and the browser have the others. */
function taken(event: KeyboardEvent, terminal: Terminal, { runs, onLeave }: Keys): boolean {
  if (event.key === "F6" && event.shiftKey) {
    event.preventDefault();
    if (event.type === "keydown") onLeave();
    return false;
  }
  if (event.key === "Tab" && !runs()) return false;
  if (event.ctrlKey && event.shiftKey && event.code === "KeyC") {
    event.preventDefault();
    // Not navigator.clipboard: browsers have that over HTTPS only. The terminal fills in what is selected.
    if (event.type === "keydown" && terminal.hasSelection()) document.execCommand("copy");
    return false;
  }
  // The browser pastes.
  return !(event.ctrlKey && event.shiftKey && event.code === "KeyV");
}
