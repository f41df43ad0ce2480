import { useEffect, useState } from "react";
import { follow } from "@/api/stream";
import type { Usage } from "@/api/types";

/** What was told so long before the newest of all is no more: its replica has stopped, or its node is silent. */
const OLD_MS = 15_000;

export type Usages = Readonly<Record<string, Usage>>;

/** What each replica of an environment uses, as it is told. */
export function useUsage(project: string, environment: string): Usages {
  const [usages, setUsages] = useState<Usages>({});
  useEffect(() => {
    const place = `${encodeURIComponent(project)}/environments/${encodeURIComponent(environment)}`;
    return follow<Usage>(`/api/projects/${place}/stats`, {
      forEver: true,
      onOpen: () => setUsages({}),
      onValue: (usage) => setUsages((usages) => withNewest(usages, usage)),
    });
  }, [project, environment]);
  return usages;
}

export function withNewest(usages: Usages, newest: Usage): Usages {
  const since = Date.parse(newest.at) - OLD_MS;
  const young = Object.entries(usages).filter(([, { at }]) => Date.parse(at) >= since);
  return { ...Object.fromEntries(young), [newest.replica]: newest };
}
