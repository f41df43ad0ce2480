/** How long a page that nobody sees keeps its streams. Browsers open six connections to a node, for all their tabs. */
const UNSEEN_MS_MAX = 10_000;

/** What of a document matters: whether somebody sees it. */
export type Sight = Pick<Document, "hidden" | "addEventListener" | "removeEventListener">;

/** Comes when somebody sees the page, or when it is not waited for any more. */
export function whenSeen(signal: AbortSignal, page: Sight = document): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (page.hidden && !signal.aborted) return;
      page.removeEventListener("visibilitychange", look);
      resolve();
    };
    page.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
    look();
  });
}

/** Is aborted with `signal`, or once nobody has seen the page for long. `end` is called when it is needed no more. */
export function whileSeen(signal: AbortSignal, page: Sight = document) {
  const unseen = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    if (page.hidden) timer = setTimeout(() => unseen.abort(), UNSEEN_MS_MAX);
  };
  page.addEventListener("visibilitychange", look);
  look();
  const end = () => {
    clearTimeout(timer);
    page.removeEventListener("visibilitychange", look);
  };
  return { signal: AbortSignal.any([signal, unseen.signal]), end };
}
