import type { ReactNode } from "react";
import { classes } from "./classes";

interface Props {
  /** What the table holds, for those who hear it. */
  label: string;
  columns: readonly string[];
  /** Which of the columns hold numbers, whose heads stand to the right as they do. */
  numbers?: readonly string[];
  children: ReactNode;
}

/** A table that scrolls by itself where the screen is narrow. */
export function Table({ label, columns, numbers = [], children }: Props) {
  return (
    <div className="relative overflow-x-auto" tabIndex={0} role="region" aria-label={label}>
      <table className="w-full text-left">
        <thead>
          <tr className="border-b border-line text-xs text-muted">
            {columns.map((column, place) => (
              <th
                key={column || place}
                scope="col"
                className={classes(
                  "px-4 py-2 font-medium whitespace-nowrap",
                  numbers.includes(column) && "text-right",
                )}
              >
                {column === "" ? <span className="sr-only">Actions</span> : column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line">{children}</tbody>
      </table>
    </div>
  );
}

export function Cell({ className, children }: { className?: string; children?: ReactNode }) {
  return <td className={classes("px-4 py-2.5 align-middle", className)}>{children}</td>;
}
