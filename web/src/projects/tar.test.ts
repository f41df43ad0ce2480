import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { tarGz } from "./tar";

const folder = mkdtempSync(join(tmpdir(), "temps-tar-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("tar unpacks what was packed, long names and names that are not ASCII too", async () => {
  const long = `${"deep/".repeat(30)}file.txt`;
  const files = { "index.html": "<h1>hi</h1>", "grüße/ñ.txt": "", [long]: "x".repeat(1_500) };
  const entries = Object.entries(files).map(([path, text]) => ({ path, content: new Blob([text]) }));
  const archive = join(folder, "a.tar.gz");
  writeFileSync(archive, Buffer.from(await (await tarGz(entries)).arrayBuffer()));
  execFileSync("tar", ["-xzf", archive, "-C", folder]);
  for (const [path, text] of Object.entries(files)) {
    expect(readFileSync(join(folder, path), "utf8")).toBe(text);
  }
});
