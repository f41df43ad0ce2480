import { useState, type ReactNode } from "react";
import { Button } from "./button";
import { Search } from "./search";
import { matches } from "./words";

/** From how many items on one is searched for. */
const SEARCH_FROM = 8;

interface Options<T> {
  /** What the list holds, such as `users`. */
  what: string;
  items: readonly T[];
  /** What is searched of an item. */
  text: (item: T) => string;
  /** How many are shown at once. */
  atOnce: number;
}

interface Paged<T> {
  shown: readonly T[];
  /** Where one searches; nothing where there are few. */
  search: ReactNode;
  /** What turns the page; nothing where there is one. */
  turn: ReactNode;
}

/** A list that is searched and shown page by page where it is long. */
export function usePaged<T>({ what, items, text, atOnce }: Options<T>): Paged<T> {
  const [wanted, setWanted] = useState("");
  const [page, setPage] = useState(0);
  const found = items.filter((item) => matches(text(item), wanted));
  const pages = Math.max(1, Math.ceil(found.length / atOnce));
  // Items may have gone since the page was turned.
  const at = Math.min(page, pages - 1);
  const first = at * atOnce;
  const search = (value: string) => {
    setWanted(value);
    setPage(0);
  };
  return {
    shown: found.slice(first, first + atOnce),
    search: items.length >= SEARCH_FROM && (
      <Search label={`Search ${what}`} className="max-w-xs" value={wanted} onChange={search} />
    ),
    turn: pages > 1 && (
      <nav aria-label={`Pages of ${what}`} className="flex items-center gap-3">
        <span className="mr-auto text-muted tabular-nums">
          {first + 1} to {Math.min(first + atOnce, found.length)} of {found.length}
        </span>
        <Button disabled={at === 0} onClick={() => setPage(at - 1)}>
          Before
        </Button>
        <Button disabled={at === pages - 1} onClick={() => setPage(at + 1)}>
          Next
        </Button>
      </nav>
    ),
  };
}
