import type { DnsZone } from "@/api/types";
import type { Tone } from "@/ui/badge";

/** How a zone is handed over, in a word or two, and what that means. */
export function zoneStatus({ status, looked_at }: Pick<DnsZone, "status" | "looked_at">): {
  tone: Tone;
  text: string;
  about: string;
} {
  switch (status) {
    case "right":
      return {
        tone: "good",
        text: "Delegated",
        about: "The zone above hands it over to the nodes there are.",
      };
    case "wrong":
      return {
        tone: "warn",
        text: "Needs a change",
        about: "The zone above hands it over, but not to the nodes there are.",
      };
    case "undelegated":
      return {
        tone: "bad",
        text: "Not delegated",
        about: "The zone above names no servers for it, so that nobody comes to the nodes.",
      };
    case "unknown":
      return looked_at == null
        ? { tone: "busy", text: "Not looked at yet", about: "This node looks from time to time." }
        : { tone: "warn", text: "Unknown", about: "Nothing was found out about it." };
  }
}
