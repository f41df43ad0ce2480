/** What somebody wrote into one field, word by word: with spaces, commas or new lines between them. */
export function words(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

/** Whether each word that is looked for is somewhere in the text. */
export function matches(text: string, wanted: string): boolean {
  const lower = text.toLowerCase();
  return words(wanted.toLowerCase()).every((word) => lower.includes(word));
}
