import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { classes } from "./classes";

/** Puts a text where it can be pasted from. Browsers have the clipboard over HTTPS only; elsewhere it goes by selection. */
async function copy(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr-only";
  const over = document.activeElement?.closest("dialog") ?? document.body;
  over.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function CopyButton({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  return (
    <button
      type="button"
      aria-label={done ? "Copied" : `Copy ${what}`}
      title={`Copy ${what}`}
      className="inline-flex size-7 shrink-0 items-center justify-center rounded text-muted hover:bg-raised hover:text-ink"
      onClick={() => {
        void copy(text).then(() => {
          setDone(true);
          setTimeout(() => setDone(false), 1_500);
        });
      }}
    >
      {done ? <Check className="size-4 text-good" aria-hidden /> : <Copy className="size-4" aria-hidden />}
    </button>
  );
}

/** A line to paste somewhere. */
export function Line({ text, what, className }: { text: string; what: string; className?: string }) {
  return (
    <div
      className={classes(
        "flex items-center gap-2 rounded-md border border-line bg-log py-1 pr-1 pl-3",
        className,
      )}
    >
      <code
        className="min-w-0 flex-1 overflow-x-auto py-1 font-mono text-[0.8125rem] whitespace-nowrap"
        tabIndex={0}
      >
        {text}
      </code>
      <CopyButton text={text} what={what} />
    </div>
  );
}
