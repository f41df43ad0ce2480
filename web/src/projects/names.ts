const NAME_MAX = 40;

/** A name for a project, made of what something else is called: a folder, a repository. */
export function nameFrom(text: string): string {
  const last =
    text
      .replace(/\/+$/, "")
      .replace(/\.git$/, "")
      .split(/[/:]/)
      .pop() ?? "";
  const plain = last.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  const name = plain.slice(0, NAME_MAX).replace(/^[^a-z]+|-+$/g, "");
  return name === "" ? "app" : name;
}

/** A name that is not taken yet. */
export function freeName(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  for (let number = 2; ; number++) {
    if (!taken.has(`${name}-${number}`)) return `${name}-${number}`;
  }
}
