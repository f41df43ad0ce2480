import { useState, type ReactNode } from "react";
import { Button } from "./button";
import { Search } from "./search";
import { Table } from "./table";
import { matches } from "./words";

/** From how many items on one is searched for. */
const SEARCH_FROM = 8;
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
  const [wanted, setWanted] = useState("");
  const [page, setPage] = useState(0);
  const found = items.filter((item) => matches(text(item), wanted));
  const pages = Math.max(1, Math.ceil(found.length / PAGE_ITEMS));
  // Items may have gone since the page was turned.
  const at = Math.min(page, pages - 1);
  const first = at * PAGE_ITEMS;
  return (
    <>
      {items.length >= SEARCH_FROM && (
        <div className="border-b border-line p-3">
          <Search
            label={`Search ${what}`}
            className="max-w-xs"
            value={wanted}
            onChange={(value) => {
              setWanted(value);
              setPage(0);
            }}
          />
        </div>
      )}
      <Table label={what} columns={columns}>
        {found.slice(first, first + PAGE_ITEMS).map(row)}
      </Table>
      {found.length === 0 && <p className="px-4 py-6 text-center text-muted">None of the {what} has that.</p>}
      {pages > 1 && (
        <nav
          aria-label={`Pages of ${what}`}
          className="flex items-center gap-3 border-t border-line px-4 py-2"
        >
          <span className="mr-auto text-muted tabular-nums">
            {first + 1} to {Math.min(first + PAGE_ITEMS, found.length)} of {found.length}
          </span>
          <Button disabled={at === 0} onClick={() => setPage(at - 1)}>
            Before
          </Button>
          <Button disabled={at === pages - 1} onClick={() => setPage(at + 1)}>
            Next
          </Button>
        </nav>
      )}
    </>
  );
}
