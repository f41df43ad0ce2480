import { useMemo } from "react";
import { Chart } from "@/ui/lazy-chart";
import { size } from "@/ui/size";
import { clock } from "@/ui/time";
import type { Sum } from "./use-usage";

/** Less than a percent of a processor is not worth a picture of its own. */
const PERCENT_MIN = 1;

const percent = (value: number) => `${Number(value.toFixed(1))} %`;

/** What all replicas use together, since somebody looks. */
export function UsageCharts({ sums }: { sums: readonly Sum[] }) {
  if (sums.length < 2) return null;
  return (
    <div className="grid gap-x-6 border-t border-line sm:grid-cols-2">
      <UsageChart name="CPU" sums={sums} amount={cpu} format={percent} reach={PERCENT_MIN} />
      <UsageChart name="Memory" sums={sums} amount={memory} format={size} reach={0} />
    </div>
  );
}

const cpu = (sum: Sum) => sum.cpu_percent;
const memory = (sum: Sum) => sum.memory_bytes;

interface Props {
  name: string;
  sums: readonly Sum[];
  amount: (sum: Sum) => number;
  format: (value: number) => string;
  reach: number;
}

function UsageChart({ name, sums, amount, format, reach }: Props) {
  const [places, series] = useMemo(
    () => [sums.map(({ at }) => clock(at)), [{ name, colour: "accent", values: sums.map(amount) }]],
    [sums, name, amount],
  );
  const newest = sums.at(-1);
  const now = newest === undefined ? "" : format(amount(newest));
  return (
    <figure className="min-w-0 space-y-2 px-4 py-3">
      <figcaption className="flex justify-between gap-4 text-xs text-muted">
        <span>{name} of all replicas</span>
        <span className="tabular-nums">{now}</span>
      </figcaption>
      <Chart
        kind="line"
        label={`${name} of all replicas: ${now} now`}
        {...{ places, series, format, reach }}
      />
    </figure>
  );
}
