/** How well a text fits what is looked for: more is better, nothing where it does not fit. */
export function score(text: string, wanted: string): number | undefined {
  const lower = text.toLowerCase();
  let total = 0;
  for (const word of wanted.toLowerCase().split(/\s+/).filter(Boolean)) {
    const found = scoreOfWord(lower, word);
    if (found === undefined) return undefined;
    total += found;
  }
  return total;
}

function scoreOfWord(text: string, word: string): number | undefined {
  const place = text.indexOf(word);
  if (place === 0) return 4;
  if (place > 0) return /[\p{L}\p{N}]/u.test(text[place - 1] ?? "") ? 2 : 3;
  return inOrder(text, word) ? 1 : undefined;
}

/** Whether the letters of a word come in a text, one after the other: `apky` in `api keys`. */
function inOrder(text: string, word: string): boolean {
  let from = 0;
  for (const letter of word) {
    from = text.indexOf(letter, from) + 1;
    if (from === 0) return false;
  }
  return true;
}

/** Those that fit, best first; those that fit alike stay in their order. */
export function fitting<T>(items: readonly T[], text: (item: T) => string, wanted: string): T[] {
  return items
    .flatMap((item) => {
      const fits = score(text(item), wanted);
      return fits === undefined ? [] : [{ item, fits }];
    })
    .sort((one, other) => other.fits - one.fits)
    .map(({ item }) => item);
}
