import { useId, type ReactNode } from "react";
import { classes } from "./classes";

interface Props<T extends string> {
  label: string;
  value: T;
  options: readonly { value: T; text: string; hint?: ReactNode }[];
  onChange: (value: T) => void;
}

/** One of a few, each with what it means. */
export function Choice<T extends string>({ label, value, options, onChange }: Props<T>) {
  const name = useId();
  return (
    <fieldset className="space-y-2">
      <legend className="mb-1.5 font-medium">{label}</legend>
      {options.map((option) => (
        <label
          key={option.value}
          className={classes(
            "flex cursor-pointer items-start gap-3 rounded-md border px-3 py-2.5 has-[:disabled]:cursor-default",
            option.value === value ? "border-accent bg-raised" : "border-line hover:border-edge",
          )}
        >
          <input
            type="radio"
            name={name}
            className="mt-0.5 size-4 shrink-0 accent-solid"
            checked={option.value === value}
            onChange={() => onChange(option.value)}
          />
          <span className="min-w-0">
            <span className="font-medium">{option.text}</span>
            {option.hint !== undefined && <span className="block text-muted">{option.hint}</span>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}
