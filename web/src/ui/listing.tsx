import type { ReactNode } from "react";
import { Table } from "./table";
import { usePaged } from "./use-paged";

/** How many are shown at once. */
const PAGE_ITEMS = 25;

interface Props<T> {
  /** What the list holds, such as `users`. */
  what: string;
  columns: readonly string[];
  items: readonly T[];
  /** What is searched of an item. */
  text: (item: T) => string;
  row: (item: T) => ReactNode;
}

/** A list in a table, searched and shown page by page where it is long. */
export function Listing<T>({ what, columns, items, text, row }: Props<T>) {
  const { shown, search, turn } = usePaged({ what, items, text, atOnce: PAGE_ITEMS });
  return (
    <>
      {search && <div className="border-b border-line p-3">{search}</div>}
      <Table label={what} columns={columns}>
        {shown.map(row)}
      </Table>
      {shown.length === 0 && <p className="px-4 py-6 text-center text-muted">None of the {what} has that.</p>}
      {turn && <div className="border-t border-line px-4 py-2">{turn}</div>}
    </>
  );
}
