interface Part {
  text: string;
  found: boolean;
}

/** The lines that have a text in them, in any case. */
export function matching<T extends { text: string }>(lines: readonly T[], wanted: string): readonly T[] {
  const small = wanted.trim().toLowerCase();
  return small === "" ? lines : lines.filter(({ text }) => text.toLowerCase().includes(small));
}

/** A line taken apart into what was searched for and the rest. */
export function marked(text: string, wanted: string): Part[] {
  const small = wanted.trim().toLowerCase();
  if (small === "") return [{ text, found: false }];
  const parts: Part[] = [];
  const lower = text.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(small); at >= 0; at = lower.indexOf(small, from)) {
    if (at > from) parts.push({ text: text.slice(from, at), found: false });
    parts.push({ text: text.slice(at, at + small.length), found: true });
    from = at + small.length;
  }
  if (from < text.length) parts.push({ text: text.slice(from), found: false });
  return parts;
}
