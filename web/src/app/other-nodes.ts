import type { Status } from "@/api/types";

interface Elsewhere {
  name: string;
  origin: string;
}

/**
 * Where the dashboards of the other nodes should be: at their addresses, on the same port. Nobody tells where their API
 * listens, so that these are links for people, nothing that the page goes to by itself.
 */
export function otherNodes(
  status: Status | undefined,
  here: Pick<Location, "protocol" | "port" | "hostname">,
): Elsewhere[] {
  if (status === undefined || here.hostname === "localhost" || here.hostname.startsWith("127.")) return [];
  const others = status.nodes.filter((node) => node.id !== status.node && node.reachable);
  return others.flatMap(({ name, address }) => {
    const host = address?.replace(/:\d+$/, "");
    if (host === undefined || host === "" || host === here.hostname) return [];
    return [{ name, origin: `${here.protocol}//${host}${here.port === "" ? "" : `:${here.port}`}` }];
  });
}
