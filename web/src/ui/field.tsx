import { useId, type InputHTMLAttributes, type ReactNode, type TextareaHTMLAttributes } from "react";
import { classes } from "./classes";

export const INPUT =
  "w-full min-h-9 rounded-md border border-edge bg-surface px-3 py-1.5 text-sm text-ink placeholder:text-muted disabled:opacity-60";

interface Shared {
  label: string;
  hint?: ReactNode;
  /** Why the value cannot be taken. */
  error?: string | undefined;
}

function Frame({ id, label, hint, error, children }: Shared & { id: string; children: ReactNode }) {
  return (
    <div className="space-y-1.5">
      <label htmlFor={id} className="block font-medium">
        {label}
      </label>
      {children}
      {error !== undefined ? (
        <p id={`${id}-text`} className="text-bad">
          {error}
        </p>
      ) : (
        hint !== undefined && (
          <p id={`${id}-text`} className="text-muted">
            {hint}
          </p>
        )
      )}
    </div>
  );
}

type FieldProps = Shared & InputHTMLAttributes<HTMLInputElement>;

export function Field({ label, hint, error, className, ...input }: FieldProps) {
  const id = useId();
  const told = error !== undefined || hint !== undefined;
  return (
    <Frame id={id} label={label} hint={hint} error={error}>
      <input
        id={id}
        className={classes(INPUT, className)}
        aria-invalid={error !== undefined || undefined}
        aria-describedby={told ? `${id}-text` : undefined}
        {...input}
      />
    </Frame>
  );
}

type TextProps = Shared & TextareaHTMLAttributes<HTMLTextAreaElement>;

export function TextField({ label, hint, error, className, ...input }: TextProps) {
  const id = useId();
  const told = error !== undefined || hint !== undefined;
  return (
    <Frame id={id} label={label} hint={hint} error={error}>
      <textarea
        id={id}
        className={classes(INPUT, "min-h-32 font-mono", className)}
        aria-describedby={told ? `${id}-text` : undefined}
        {...input}
      />
    </Frame>
  );
}

export function Check({ label, hint, ...input }: Shared & InputHTMLAttributes<HTMLInputElement>) {
  return (
    <label className="flex items-start gap-2.5">
      <input type="checkbox" className="mt-0.5 size-4 shrink-0 accent-solid" {...input} />
      <span>
        <span className="font-medium">{label}</span>
        {hint !== undefined && <span className="block text-muted">{hint}</span>}
      </span>
    </label>
  );
}

interface SelectProps {
  label: string;
  value: string;
  options: readonly { value: string; text: string }[];
  onChange: (value: string) => void;
}

/** A choice with its label read out, but not shown. */
export function Select({ label, value, options, onChange }: SelectProps) {
  return (
    <select
      aria-label={label}
      className={classes(INPUT, "!w-auto pr-8")}
      value={value}
      onChange={(event) => onChange(event.target.value)}
    >
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.text}
        </option>
      ))}
    </select>
  );
}
