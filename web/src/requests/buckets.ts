import type { RequestLine } from "@/api/types";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** How long a bucket may be. */
const WIDTHS = [SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR];
/** As many buckets as are seen apart. */
const BUCKETS_MAX = 40;
/** Fewer would be bars as wide as the page. */
const BUCKETS_MIN = 20;

export interface Buckets {
  /** How long each is, in milliseconds. */
  width: number;
  /** When each begins. */
  starts: number[];
  /** How many requests ended well, by the client's fault, and by the app's or the cluster's. */
  good: number[];
  refused: number[];
  failed: number[];
}

/** How many requests there were over time, up to the newest of these; nothing where there is none. */
export function bucketsOf(lines: readonly RequestLine[]): Buckets | undefined {
  const requests = lines.filter((line) => line.type === "request");
  if (requests.length === 0) return undefined;
  const times = requests.map(({ at }) => Date.parse(at));
  const [oldest, newest] = [times.reduce(least), times.reduce(most)];
  const width = WIDTHS.find((one) => count(oldest, newest, one) <= BUCKETS_MAX) ?? 24 * HOUR;
  const shown = Math.min(Math.max(count(oldest, newest, width), BUCKETS_MIN), BUCKETS_MAX);
  const first = Math.floor(newest / width) - shown + 1;
  const places = Array.from({ length: Math.floor(newest / width) - first + 1 }, (_, place) => first + place);
  const none = () => places.map(() => 0);
  const buckets = {
    width,
    starts: places.map((place) => place * width),
    good: none(),
    refused: none(),
    failed: none(),
  };
  for (const { at, status } of requests) {
    const place = Math.floor(Date.parse(at) / width) - first;
    const kind = status == null || status < 400 ? "good" : status < 500 ? "refused" : "failed";
    const before = buckets[kind][place];
    if (before !== undefined) buckets[kind][place] = before + 1;
  }
  return buckets;
}

function count(oldest: number, newest: number, width: number): number {
  return Math.floor(newest / width) - Math.floor(oldest / width) + 1;
}

const least = (one: number, other: number) => Math.min(one, other);
const most = (one: number, other: number) => Math.max(one, other);

/** How long a bucket is, in words. */
export function widthText(width: number): string {
  if (width < MINUTE) return `${width / SECOND} s`;
  if (width < HOUR) return `${width / MINUTE} min`;
  return `${width / HOUR} h`;
}
