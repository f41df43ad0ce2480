import { relative } from "./time";
import { useNow } from "./now";

/** A time, relative; the exact one is shown on hover. */
export function Ago({ at }: { at: string }) {
  const now = useNow(10_000);
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()} className="whitespace-nowrap">
      {relative(at, now)}
    </time>
  );
}
