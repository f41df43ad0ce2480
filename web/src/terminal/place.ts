/** Where a terminal's page is. It is a document of its own, as the emulator needs a policy of its own. */
export const TERMINAL_PAGE = "/terminal.html";
const PRODUCTION = "production";

/** In what a terminal is. */
export interface Place {
  project: string;
  environment: string;
  /** A healthy one when none is named. */
  replica?: string | undefined;
}

/** The address of the page with a terminal. */
export function terminalUrl({ project, environment, replica }: Partial<Place> & { project: string }): string {
  const search = new URLSearchParams({ project, environment: environment ?? PRODUCTION });
  if (replica !== undefined) search.set("replica", replica);
  return `${TERMINAL_PAGE}?${search.toString()}`;
}

/** What the page's address names. */
export function placeOf(search: string): Place | undefined {
  const named = new URLSearchParams(search);
  const project = named.get("project") ?? "";
  if (project === "") return undefined;
  const environment = named.get("environment") ?? PRODUCTION;
  return { project, environment, replica: named.get("replica") ?? undefined };
}

/** The better shell of the two that replicas have, in colours. */
const SHELL = "export TERM=xterm-256color; exec $(command -v bash || echo sh)";

/** The words of a command as they are typed, split at blanks; a shell when there are none. */
export function wordsOf(typed: string): string[] {
  const words = typed.split(/\s+/).filter((word) => word !== "");
  return words.length === 0 ? ["/bin/sh", "-c", SHELL] : words;
}

/** Where the API runs a command in a replica. */
export function execPath({ project, environment }: Place, replica: string, words: readonly string[]): string {
  const [p, e, r] = [project, environment, replica].map(encodeURIComponent);
  const search = new URLSearchParams([...words.map((word) => ["command", word]), ["tty", "true"]]);
  return `/api/projects/${p}/environments/${e}/replicas/${r}/exec?${search.toString()}`;
}
