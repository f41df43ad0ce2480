import type { Domain, DomainLook } from "@/api/types";
import type { Tone } from "@/ui/badge";

interface Shown {
  tone: Tone;
  text: string;
}

const SHOWN: Record<Domain["status"], Shown> = {
  waiting_for_dns: { tone: "warn", text: "Waiting for the DNS" },
  waiting_for_certificate: { tone: "busy", text: "Getting a certificate" },
  without_certificate: { tone: "calm", text: "Without certificate" },
  failing: { tone: "bad", text: "No certificate could be had" },
  active: { tone: "good", text: "Active" },
};

export function statusShown(status: Domain["status"]): Shown {
  return SHOWN[status];
}

/** What a node sees of a domain, in a sentence. */
export function seen({ answered, problem, addresses, certificate }: DomainLook): Shown {
  if (!answered) return { tone: "calm", text: problem ?? "does not answer" };
  if (problem != null) return { tone: "bad", text: problem };
  const here = addresses.filter((one) => one.leads_here);
  if (here.length === 0) {
    const elsewhere = addresses.map((one) => one.address).join(", ");
    return {
      tone: "bad",
      text: elsewhere === "" ? "has no address" : `leads to ${elsewhere}, which is not this cluster`,
    };
  }
  const all = here.length === addresses.length;
  const leads = `leads here by ${here.map((one) => one.address).join(", ")}`;
  const shows = certificate == null ? "; no certificate is shown yet" : "";
  return { tone: all && certificate != null ? "good" : "warn", text: leads + shows };
}
