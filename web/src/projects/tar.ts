import type { TreeFile } from "./tree";

const BLOCK = 512;
const NAME_BYTES_MAX = 100;
/** What a header holds of a size: eleven digits to the base of eight. */
const SIZE_DIGITS = 11;

/** A tar archive of files (POSIX ustar; longer names the way of GNU tar). */
export function tar(files: readonly TreeFile[]): Blob {
  const parts: BlobPart[] = files.flatMap(({ path, content }) => [
    ...longName(path),
    header(path, content.size, "0"),
    content,
    padding(content.size),
  ]);
  return new Blob([...parts, new Uint8Array(2 * BLOCK)]);
}

/** The archive, as `POST /api/uploads` takes it. */
export async function tarGz(files: readonly TreeFile[]): Promise<Blob> {
  const stream = tar(files).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).blob();
}

/** An entry that only says the name of the next one. */
function longName(path: string): BlobPart[] {
  const name = new TextEncoder().encode(path);
  if (name.length <= NAME_BYTES_MAX) return [];
  const whole = new Uint8Array(name.length + 1);
  whole.set(name);
  return [header("././@LongLink", whole.length, "L"), whole, padding(whole.length)];
}

function header(path: string, size: number, kind: string): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(BLOCK);
  const put = (offset: number, text: string) => block.set(new TextEncoder().encode(text), offset);
  block.set(new TextEncoder().encode(path).slice(0, NAME_BYTES_MAX), 0);
  put(100, "0000644\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(124, size.toString(8).padStart(SIZE_DIGITS, "0") + "\0");
  put(136, "00000000000\0");
  put(148, " ".repeat(8));
  put(156, kind);
  put(257, "ustar\x0000");
  const sum = block.reduce((total, octet) => total + octet, 0);
  put(148, sum.toString(8).padStart(6, "0") + "\0 ");
  return block;
}

function padding(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}
