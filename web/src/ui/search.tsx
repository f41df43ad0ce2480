import { Search as Icon } from "lucide-react";
import { classes } from "./classes";
import { INPUT } from "./field";

interface Props {
  /** What is searched, read out and shown while nothing is written. */
  label: string;
  value: string;
  onChange: (value: string) => void;
  className?: string;
}

export function Search({ label, value, onChange, className }: Props) {
  return (
    <div className={classes("relative", className)}>
      <Icon className="pointer-events-none absolute top-2.5 left-2.5 size-4 text-muted" aria-hidden />
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        className={`${INPUT} pl-8`}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}
