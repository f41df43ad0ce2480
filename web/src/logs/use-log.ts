import type { ContainerLine } from "@/api/types";
import { useLines, type Lines } from "@/api/use-lines";

const TAIL = 500;

/** What an environment's containers write. */
export function useLog(
  project: string,
  environment: string,
  replica: string,
  paused: boolean,
): Lines<ContainerLine> {
  const query = new URLSearchParams({
    follow: "true",
    tail: String(TAIL),
    ...(replica === "" ? {} : { replica }),
  });
  const place = `${encodeURIComponent(project)}/environments/${encodeURIComponent(environment)}`;
  return useLines(`/api/projects/${place}/logs?${query}`, paused);
}
