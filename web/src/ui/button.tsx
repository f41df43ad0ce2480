import { LoaderCircle } from "lucide-react";
import type { ButtonHTMLAttributes } from "react";
import { classes } from "./classes";

const LOOKS = {
  primary: "bg-solid text-white border-transparent hover:opacity-90",
  plain: "bg-surface text-ink border-line hover:bg-raised",
  quiet: "bg-transparent text-muted border-transparent hover:bg-raised hover:text-ink",
  danger: "bg-danger text-white border-transparent hover:opacity-90",
} as const;

export type ButtonLook = keyof typeof LOOKS;

/** How a button looks; for links that look like one, too. */
export function buttonClasses(look: ButtonLook = "plain"): string {
  return classes(
    "inline-flex min-h-9 items-center justify-center gap-2 rounded-md border px-3 text-sm font-medium whitespace-nowrap",
    "transition-colors disabled:opacity-60 [&_svg]:size-4 [&_svg]:shrink-0",
    LOOKS[look],
  );
}

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: ButtonLook;
  /** What it does is under way. */
  busy?: boolean;
}

export function Button({ look, busy = false, className, children, disabled, ...rest }: Props) {
  return (
    <button
      type="button"
      className={classes(buttonClasses(look), className)}
      disabled={disabled === true || busy}
      aria-busy={busy || undefined}
      {...rest}
    >
      {busy && <LoaderCircle className="animate-spin" aria-hidden />}
      {children}
    </button>
  );
}
