import { useEffect, useState } from "react";
import { follow } from "@/api/stream";
import type { Usage } from "@/api/types";

/** What was told so long before the newest of all is no more: its replica has stopped, or its node is silent. */
const OLD_MS = 15_000;
/** All replicas are told of one after the other, again and again: sums so close to each other are of the same round. */
const ROUND_MS = 2_000;
/** How many sums are remembered: of about ten minutes. */
const SUMS_MAX = 200;

export type Usages = Readonly<Record<string, Usage>>;

/** What all replicas use together. */
export interface Sum {
  at: string;
  cpu_percent: number;
  memory_bytes: number;
}

export interface Used {
  /** Of each replica. */
  newest: Usages;
  /** Of all, since somebody looks. */
  sums: readonly Sum[];
}

const NOTHING: Used = { newest: {}, sums: [] };

/** What the replicas of an environment use, as it is told. */
export function useUsage(project: string, environment: string): Used {
  const [used, setUsed] = useState(NOTHING);
  useEffect(() => {
    const place = `${encodeURIComponent(project)}/environments/${encodeURIComponent(environment)}`;
    return follow<Usage>(`/api/projects/${place}/stats`, {
      forEver: true,
      onOpen: () => setUsed(({ sums }) => ({ newest: {}, sums })),
      onValue: (usage) => setUsed((used) => withNewest(used, usage)),
    });
  }, [project, environment]);
  return used;
}

export function withNewest({ newest, sums }: Used, usage: Usage): Used {
  const since = Date.parse(usage.at) - OLD_MS;
  const young = Object.entries(newest).filter(([, { at }]) => Date.parse(at) >= since);
  const all = { ...Object.fromEntries(young), [usage.replica]: usage };
  return { newest: all, sums: withSum(sums, sumOf(usage.at, Object.values(all))) };
}

function sumOf(at: string, usages: readonly Usage[]): Sum {
  const add = (amount: (usage: Usage) => number) => usages.reduce((sum, usage) => sum + amount(usage), 0);
  return {
    at,
    cpu_percent: add((usage) => usage.cpu_percent),
    memory_bytes: add((usage) => usage.memory_bytes),
  };
}

function withSum(sums: readonly Sum[], sum: Sum): readonly Sum[] {
  const last = sums.at(-1);
  const same = last !== undefined && Date.parse(sum.at) - Date.parse(last.at) < ROUND_MS;
  return same ? [...sums.slice(0, -1), { ...sum, at: last.at }] : [...sums, sum].slice(-SUMS_MAX);
}
