import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { whenSeen, whileSeen } from "./visibility";

class Page extends EventTarget {
  hidden = false;

  turn(hidden: boolean) {
    this.hidden = hidden;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test("streams end when nobody has seen the page for long, and not at a glance elsewhere", () => {
  const page = new Page();
  const { signal, end } = whileSeen(new AbortController().signal, page as unknown as Document);
  page.turn(true);
  vi.advanceTimersByTime(9_000);
  page.turn(false);
  vi.advanceTimersByTime(60_000);
  expect(signal.aborted).toBe(false);
  page.turn(true);
  vi.advanceTimersByTime(10_000);
  expect(signal.aborted).toBe(true);
  end();
});

test("a page that is seen again goes on", async () => {
  const page = new Page();
  page.turn(true);
  const seen = vi.fn();
  const waiting = whenSeen(new AbortController().signal, page as unknown as Document).then(seen);
  await Promise.resolve();
  expect(seen).not.toHaveBeenCalled();
  page.turn(false);
  await waiting;
  expect(seen).toHaveBeenCalled();
});

test("who waits no more is let go", async () => {
  const page = new Page();
  page.turn(true);
  const stop = new AbortController();
  const waiting = whenSeen(stop.signal, page as unknown as Document);
  stop.abort();
  await waiting;
});
