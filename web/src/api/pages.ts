const PAGE_ITEMS = 200;
/** More pages than these nobody reads at once. */
const PAGES_MAX = 10;

interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

/** Every item of a list, page by page. */
export async function everything<T>(
  page: (query: { limit: string; cursor?: string }) => Promise<Page<T>>,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const limit = String(PAGE_ITEMS);
    const found = await page(cursor === undefined ? { limit } : { limit, cursor });
    items.push(...found.items);
    if (found.next_cursor === null || found.next_cursor === undefined) break;
    cursor = found.next_cursor;
  }
  return items;
}
