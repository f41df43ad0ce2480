import type { Node } from "@/api/types";
import type { Tone } from "@/ui/badge";

/** How a node is, in a word or two. */
export function nodeStanding(node: Node): { tone: Tone; text: string } {
  if (!node.reachable) return { tone: "bad", text: "Lost" };
  if (node.standing === "draining")
    return node.drained ? { tone: "calm", text: "Drained" } : { tone: "busy", text: "Draining" };
  if (node.standing === "joining") return { tone: "busy", text: "Joining" };
  if (node.engine_problem != null) return { tone: "warn", text: "No container engine" };
  return { tone: "good", text: "Ready" };
}

/** What a node is for the cluster. */
export function nodeRole({ leader, voter }: Pick<Node, "leader" | "voter">): string {
  if (leader) return "leader";
  return voter ? "voter" : "learner";
}
