import {
  BarController,
  BarElement,
  CategoryScale,
  Chart as Drawn,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
  type ChartOptions,
} from "chart.js";
import { useEffect, useRef } from "react";
import { colourOf, useShade } from "./colour";

Drawn.register(
  BarController,
  BarElement,
  CategoryScale,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
);

/** The most labels along a side. */
const TICKS_MAX = 6;

type Kind = "line" | "bar";

interface Series {
  name: string;
  /** A colour of the theme, such as `good`. */
  colour: string;
  values: readonly number[];
}

interface Props {
  /** Bars stand on each other. */
  kind: Kind;
  /** What it shows, in words, for those who do not see it. */
  label: string;
  /** What stands under each value. */
  places: readonly string[];
  series: readonly Series[];
  format: (value: number) => string;
  /** How far the side reaches at least, so that its labels differ. */
  reach?: number;
}

/** Values over time, in the colours of the theme. */
export default function Chart({ kind, label, places, series, format, reach = 0 }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawn = useRef<Drawn>(null);
  const dark = useShade();
  useEffect(() => {
    if (canvas.current === null) return;
    const chart = new Drawn(canvas.current, { type: kind, data: { datasets: [] } });
    drawn.current = chart;
    return () => chart.destroy();
  }, [kind]);
  useEffect(() => {
    const chart = drawn.current;
    if (chart === null) return;
    chart.data.labels = [...places];
    chart.data.datasets = series.map(({ name, colour, values }) => ({
      label: name,
      data: [...values],
      borderColor: colourOf(colour),
      backgroundColor: colourOf(colour),
    }));
    chart.options = options(kind, format, reach);
    chart.update();
  }, [kind, places, series, format, reach, dark]);
  return (
    <div className="relative h-36 w-full">
      <canvas ref={canvas} role="img" aria-label={label} />
    </div>
  );
}

function options(kind: Kind, format: (value: number) => string, reach: number): ChartOptions {
  const stacked = kind === "bar";
  const color = colourOf("muted");
  const line = colourOf("line");
  return {
    animation: false,
    maintainAspectRatio: false,
    interaction: { mode: "index", intersect: false },
    elements: { point: { radius: 0 }, line: { borderWidth: 1.5 } },
    scales: {
      x: {
        stacked,
        grid: { display: false },
        border: { color: line },
        ticks: { color, maxTicksLimit: TICKS_MAX, maxRotation: 0 },
      },
      y: {
        stacked,
        beginAtZero: true,
        suggestedMax: reach,
        grid: { color: line },
        border: { display: false },
        ticks: { color, maxTicksLimit: TICKS_MAX, callback: (value) => format(Number(value)) },
      },
    },
    plugins: {
      tooltip: {
        callbacks: { label: ({ dataset, parsed }) => `${dataset.label}: ${format(parsed.y ?? 0)}` },
      },
    },
  };
}
