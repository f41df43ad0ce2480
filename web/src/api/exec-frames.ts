/** What goes over the WebSocket of a command: binary frames begin with the octet of their channel, text frames hold JSON. */
const STDIN = 0;
const OUTPUTS: readonly (number | undefined)[] = [1, 2];
/** How many octets of input one frame carries at most. */
export const INPUT_BYTES_MAX = 64 * 1024;

/** What a command reads, as frames. */
export function inputFrames(octets: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const frames = [];
  for (let at = 0; at < octets.length; at += INPUT_BYTES_MAX)
    frames.push(Uint8Array.of(STDIN, ...octets.subarray(at, at + INPUT_BYTES_MAX)));
  return frames;
}

/** The frame that says how large the terminal is. */
export function sizeFrame(rows: number, columns: number): string {
  return JSON.stringify({ type: "resize", rows, columns });
}

/** What a command wrote, or how it ended. */
export type Heard = { type: "output"; octets: Uint8Array } | { type: "exit"; code: number | null };

/** What a frame of the node says; nothing where it says what this page does not know. */
export function heard(data: unknown): Heard | undefined {
  if (data instanceof ArrayBuffer) {
    const octets = new Uint8Array(data);
    return OUTPUTS.includes(octets[0]) ? { type: "output", octets: octets.subarray(1) } : undefined;
  }
  const told = typeof data === "string" ? parsed(data) : undefined;
  if (typeof told !== "object" || told === null || !("type" in told) || told.type !== "exit")
    return undefined;
  return { type: "exit", code: "code" in told && typeof told.code === "number" ? told.code : null };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
