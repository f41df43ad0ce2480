import { useMemo } from "react";
import type { RequestLine } from "@/api/types";
import { Chart } from "@/ui/lazy-chart";
import { clock } from "@/ui/time";
import { bucketsOf, widthText, type Buckets } from "./buckets";

/** How many requests there were over time, and how they ended. */
export function OverTime({ lines }: { lines: readonly RequestLine[] }) {
  const buckets = useMemo(() => bucketsOf(lines), [lines]);
  return buckets === undefined ? null : <Drawn buckets={buckets} />;
}

const whole = (value: number) => (Number.isInteger(value) ? String(value) : "");

function Drawn({ buckets }: { buckets: Buckets }) {
  const { width, starts, good, refused, failed } = buckets;
  const [places, series] = useMemo(
    () => [
      starts.map((start) => clock(new Date(start).toISOString())),
      [
        { name: "Answered", colour: "good", values: good },
        { name: "Refused, 4xx", colour: "warn", values: refused },
        { name: "Failed, 5xx", colour: "bad", values: failed },
      ],
    ],
    [starts, good, refused, failed],
  );
  const all = (values: readonly number[]) => values.reduce((one, other) => one + other, 0);
  const words = `${all(good)} answered, ${all(refused)} refused, ${all(failed)} failed`;
  return (
    <figure className="space-y-2 px-4 py-3">
      <figcaption className="flex flex-wrap justify-between gap-x-4 text-xs text-muted">
        <span>Requests in {widthText(width)}</span>
        <span className="tabular-nums">{words}</span>
      </figcaption>
      <Chart
        kind="bar"
        label={`Requests in ${widthText(width)}: ${words}`}
        format={whole}
        {...{ places, series }}
      />
    </figure>
  );
}
