import { useNavigate } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { useMay } from "@/session/permission";
import { QuietBoundary } from "@/ui/quiet-boundary";
import { HELD, shortcutOf, type Shortcut } from "./keys";
import { singleKeys } from "./single-keys";

const fetchPalette = () => import("./palette");
const fetchHelp = () => import("./help");
const Palette = lazy(fetchPalette);
const ShortcutHelp = lazy(fetchHelp);

/** When their programs are fetched: after the page's own, and before the node that has them is lost. */
const FETCHED_AFTER_MS = 3_000;

/** How long the second of two keys is waited for. */
const SECOND_KEY_MS = 1_500;

/** What opens the palette: a button, and keys anywhere on the page. */
export function PaletteHost() {
  const [open, setOpen] = useState<"palette" | "help">();
  const navigate = useNavigate();
  const may = useMay("write");
  useEffect(() => {
    const timer = setTimeout(() => void Promise.allSettled([fetchPalette(), fetchHelp()]), FETCHED_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  useKeys((shortcut) => {
    if (shortcut.does === "palette" || shortcut.does === "help") setOpen(shortcut.does);
    else if (shortcut.does === "go") void navigate({ to: shortcut.to });
    else if (shortcut.does === "new" && may) void navigate({ to: "/new" });
    else if (shortcut.does === "search" && !focusSearch()) setOpen("palette");
  });
  return (
    <>
      <button
        type="button"
        aria-keyshortcuts="Control+K Meta+K"
        className="inline-flex min-h-9 items-center gap-2 rounded-md border border-line px-2.5 text-muted hover:border-edge hover:text-ink"
        onClick={() => setOpen("palette")}
      >
        <Search className="size-4" aria-hidden />
        <span className="sr-only md:not-sr-only">Find</span>
        <kbd
          aria-hidden
          className="hidden rounded border border-line bg-raised px-1.5 font-sans text-xs md:inline"
        >
          {HELD} K
        </kbd>
      </button>
      {open !== undefined && (
        <QuietBoundary onFail={() => setOpen(undefined)}>
          <Suspense>
            {open === "palette" && (
              <Palette onHelp={() => setOpen("help")} onClose={() => setOpen(undefined)} />
            )}
            {open === "help" && <ShortcutHelp onClose={() => setOpen(undefined)} />}
          </Suspense>
        </QuietBoundary>
      )}
    </>
  );
}

/** Goes to the field that searches what the page lists, if it has one. */
function focusSearch(): boolean {
  const field = document.querySelector<HTMLInputElement>("main input[type=search]");
  field?.focus();
  return field !== null;
}

function useKeys(onShortcut: (shortcut: Shortcut) => void) {
  const handler = useRef(onShortcut);
  useEffect(() => {
    handler.current = onShortcut;
  });
  useEffect(() => {
    let waitingUntil = 0;
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.repeat) return;
      const target = event.target instanceof Element ? event.target : null;
      // A terminal has its own use for every key.
      if (target?.closest(".xterm")) return;
      const found = shortcutOf(event, {
        writing: target?.closest("input, textarea, select, [contenteditable], [role=menu]") != null,
        dialog: document.querySelector("dialog[open]") !== null,
        single: singleKeys(),
        waiting: event.timeStamp < waitingUntil,
      });
      waitingUntil = found?.does === "wait" ? event.timeStamp + SECOND_KEY_MS : 0;
      if (found === undefined) return;
      event.preventDefault();
      if (found.does !== "wait") handler.current(found);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}
