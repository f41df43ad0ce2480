import { useId, type ReactNode } from "react";
import { INPUT } from "./field";

interface Props<T extends string> {
  label: string;
  value: T;
  options: readonly { value: T; text: string }[];
  hint?: ReactNode;
  onChange: (value: T) => void;
}

/** One of many, with its label above it. */
export function SelectField<T extends string>({ label, value, options, hint, onChange }: Props<T>) {
  const id = useId();
  return (
    <div className="space-y-1.5">
      <label htmlFor={id} className="block font-medium">
        {label}
      </label>
      <select
        id={id}
        className={INPUT}
        value={value}
        aria-describedby={hint === undefined ? undefined : `${id}-text`}
        onChange={(event) => onChange(event.target.value as T)}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
      {hint !== undefined && (
        <p id={`${id}-text`} className="text-muted">
          {hint}
        </p>
      )}
    </div>
  );
}
