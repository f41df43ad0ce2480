// Fails when the first page has grown: index.html and all that it loads before anything is shown, as browsers get it.
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";

const FIRST_PAGE_BYTES_MAX = 200_000;
const folder = new URL("../dist/", import.meta.url).pathname;

const page = await readFile(`${folder}index.html`, "utf8");
const loaded = [...page.matchAll(/(?:src|href)="\/([^"]+\.(?:js|css))"/g)].map((found) => found[1]);
if (loaded.length < 2)
  throw new Error("index.html loads no script or no style: has Vite changed how it writes it?");

let total = 0;
for (const name of ["index.html", ...loaded]) {
  const path = existsSync(`${folder}${name}.br`) ? `${folder}${name}.br` : `${folder}${name}`;
  total += (await stat(path)).size;
}
console.log(`first page: ${total} octets of ${FIRST_PAGE_BYTES_MAX}, compressed`);
if (total > FIRST_PAGE_BYTES_MAX) process.exit(1);
