import { useQuery } from "@tanstack/react-query";
import { statusQuery } from "./queries";

/** What people call a node. */
export function NodeName({ id }: { id: number }) {
  const nodes = useQuery(statusQuery).data?.nodes;
  return nodes?.find((node) => node.id === id)?.name ?? `node ${id}`;
}
