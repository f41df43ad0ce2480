/** A variable as a `.env` file has it. */
export interface Pair {
  name: string;
  value: string;
}

export interface Parsed {
  pairs: Pair[];
  /** The numbers of the lines that say nothing that is understood. */
  unread: number[];
}

const START = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*/;
const ESCAPES: Record<string, string> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\", $: "$" };

/** Reads the text of a `.env` file: comments, `export`, quotes, values of several lines. The last of equal names holds. */
export function parseDotenv(text: string): Parsed {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const found = new Map<string, string>();
  const unread: number[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (/^\s*(#|$)/.test(line)) continue;
    const start = START.exec(line);
    const name = start?.[1];
    if (start === null || name === undefined) {
      unread.push(at + 1);
      continue;
    }
    const quote = line.charAt(start[0].length);
    if (quote === '"' || quote === "'") {
      const whole = [line.slice(start[0].length), ...lines.slice(at + 1)].join("\n");
      const quoted = upToQuote(whole, quote);
      if (quoted !== undefined) {
        found.set(name, quote === '"' ? unescaped(quoted) : quoted);
        at += quoted.split("\n").length - 1;
        continue;
      }
    }
    found.set(
      name,
      line
        .slice(start[0].length)
        .replace(/(^|\s+)#.*$/, "")
        .trim(),
    );
  }
  return { pairs: [...found].map(([name, value]) => ({ name, value })), unread };
}

/** What is between quotes, escapes as they are written; nothing where the second quote is missing. */
function upToQuote(text: string, quote: string): string | undefined {
  for (let at = 1; at < text.length; at++) {
    if (quote === '"' && text[at] === "\\") at++;
    else if (text[at] === quote) return text.slice(1, at);
  }
  return undefined;
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (whole, escape: string) => ESCAPES[escape] ?? whole);
}

const SECRET = /(SECRET|TOKEN|PASSWORD|PASSWD|PRIVATE|CREDENTIAL|API_?KEY|ACCESS_?KEY|DSN|DATABASE_URL)/i;

/** Whether a name sounds like that of a secret. */
export function soundsSecret(name: string): boolean {
  return SECRET.test(name);
}
