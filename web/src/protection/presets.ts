import type { HeaderPolicy } from "@/api/types";

interface Option {
  value: HeaderPolicy["preset"];
  text: string;
  hint: string;
}

/** What each choice of security headers means. */
export const PRESETS: readonly Option[] = [
  { value: "off", text: "Off", hint: "Answers go out as apps give them." },
  {
    value: "permissive",
    text: "Permissive",
    hint: "Breaks no app that works over HTTPS: HTTPS only from then on, no guessing of file types, short referrers.",
  },
  {
    value: "moderate",
    text: "Moderate",
    hint: "Suits most apps: besides, no frames on other sites, no plug-ins, camera and the like for the app alone.",
  },
  {
    value: "strict",
    text: "Strict",
    hint: "Pages load nothing from elsewhere and are shown in no frame, and names below theirs have to speak HTTPS, too.",
  },
  { value: "custom", text: "Your own", hint: "Headers that you name." },
];

/** To have no headers of one's own, and what holds then or now. */
export function inherited({ preset, effective }: HeaderPolicy): Option {
  const now = PRESETS.find(({ value }) => value === effective.preset)?.text ?? effective.preset;
  const hint = preset === "inherit" ? `That is “${now}” now.` : "Nothing is set here then.";
  return { value: "inherit", text: "As the wider scope says", hint };
}

export interface Header {
  name: string;
  value: string;
}

/** The headers as the API takes them; lines without a name are left out. */
export function namedHeaders(headers: readonly Header[]): Record<string, string> {
  const named = headers.filter(({ name }) => name.trim() !== "");
  return Object.fromEntries(named.map(({ name, value }) => [name.trim(), value]));
}
