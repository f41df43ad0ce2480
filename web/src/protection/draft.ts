import type { Guard, GuardChange as WholeChange } from "@/api/types";
import { words } from "@/ui/words";

/** What is left out of a change stays as it is. */
export type GuardChange = Partial<WholeChange>;

/** What is written into the form. */
export interface Draft {
  deny: string;
  allow: string;
  denyCountries: string;
  allowCountries: string;
  ratePerClient: string;
  rateInAll: string;
  attackMode: "unset" | "off" | "auto" | "on";
  triggers: readonly string[];
  password: "unset" | "open" | "asked";
  /** A new password; empty where the one that there is stays. */
  newPassword: string;
}

/** What gives a reason for a challenge when nobody says. */
const TRIGGERS_DEFAULT = ["suspicious_pattern", "rate_limit"];

export function draftOf({ set }: Pick<Guard, "set">): Draft {
  return {
    deny: set.deny.join("\n"),
    allow: set.allow.join("\n"),
    denyCountries: set.deny_countries.join(" "),
    allowCountries: set.allow_countries.join(" "),
    ratePerClient: set.rate_per_client ?? "",
    rateInAll: set.rate_in_all ?? "",
    attackMode: (set.attack_mode as Draft["attackMode"] | null | undefined) ?? "unset",
    triggers: set.triggers.length > 0 ? set.triggers : TRIGGERS_DEFAULT,
    password: (set.password as Draft["password"] | null | undefined) ?? "unset",
    newPassword: "",
  };
}

/** What the API is to change: what differs from what the draft began with, so that nobody else's change is undone. */
export function changeOf(draft: Draft, base: Draft): GuardChange {
  const before = whole(base);
  const differs = ([name, value]: [string, unknown]) =>
    JSON.stringify(value) !== JSON.stringify(before[name as keyof GuardChange]);
  return Object.fromEntries(Object.entries(whole(draft)).filter(differs));
}

/** All of a draft. What is empty is taken back; a password that is not written again stays. */
function whole(draft: Draft): GuardChange {
  const countries = (text: string) => words(text).map((code) => code.toUpperCase());
  const rate = (text: string) => (text.trim() === "" ? null : text.trim());
  return {
    deny: words(draft.deny),
    allow: words(draft.allow),
    deny_countries: countries(draft.denyCountries),
    allow_countries: countries(draft.allowCountries),
    rate_per_client: rate(draft.ratePerClient),
    rate_in_all: rate(draft.rateInAll),
    attack_mode: draft.attackMode === "unset" ? null : draft.attackMode,
    ...(draft.attackMode === "auto" ? { triggers: [...draft.triggers] } : {}),
    ...password(draft),
  };
}

function password({ password, newPassword }: Draft): GuardChange {
  if (password === "unset") return { password: null };
  if (password === "open") return { open: true };
  return newPassword === "" ? {} : { password: newPassword };
}
