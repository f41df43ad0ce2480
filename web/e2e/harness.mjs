// What the stories share: a browser, checks that are counted, accessibility, pictures.
import { appendFile, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

export const settings = {
  url: process.env.TEMPS_URL ?? "http://127.0.0.1:3000",
  email: process.env.TEMPS_ADMIN_EMAIL ?? "admin@localho.st",
  password: process.env.TEMPS_ADMIN_PASSWORD ?? "",
  // Pictures of every page, for eyes.
  out: process.env.TEMPS_WEB_OUT ?? new URL("../out", import.meta.url).pathname,
  results: process.env.RESULTS,
  // Commands that end the node that serves the page, and start it again.
  kill: process.env.TEMPS_KILL,
  start: process.env.TEMPS_START,
};

let failed = 0;

/** One check: what throws has failed, and the next one runs. */
export async function check(name, body) {
  const began = Date.now();
  let ok = true;
  try {
    await body();
  } catch (error) {
    ok = false;
    failed++;
    console.error(String(error?.stack ?? error).replace(/^/gm, "    | "));
  }
  console.log(`  ${ok ? "ok    " : "not ok"} ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  if (settings.results) await appendFile(settings.results, `${ok ? "ok" : "not ok"} ${name}\n`);
}

export function failures() {
  return failed;
}

export async function openBrowser() {
  const host = new URL(settings.url).hostname;
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    // Names of apps lead to the node, whatever the DNS here says.
    args: ["--no-sandbox", `--host-resolver-rules=MAP *.localho.st ${host}`],
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme: "light" });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    // What the page asks for and is refused, or a node that was ended, is no fault of the page's.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text()))
      complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  return { browser, page, complaints };
}

/** Logs in where the page asks to. */
export async function logIn(page) {
  await page.getByLabel("E-mail address").fill(settings.email);
  await page.getByLabel("Password").fill(settings.password);
  await page.getByRole("button", { name: "Log in" }).click();
}

/** Judges the page as it is, and takes its picture, in both themes. */
export async function looked(page, name) {
  await mkdir(settings.out, { recursive: true });
  const found = [];
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.screenshot({ path: `${settings.out}/${name}-${scheme}.png`, fullPage: true });
    for (const violation of await judged(page)) found.push(`${scheme}: ${violation}`);
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  if (found.length > 0)
    throw new Error(`${name} has ${found.length} faults of accessibility:\n${found.join("\n")}`);
}

async function judged(page) {
  // The page's own policy lets no script in but its own, so this one goes by the debugger.
  const { readFile } = await import("node:fs/promises");
  await page.evaluate(await readFile(axe, "utf8"));
  const { violations } = await page.evaluate(
    (values) => window.axe.run({ runOnly: { type: "tag", values } }),
    RULES,
  );
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`),
  );
}

/** The same page on a phone: nothing may stick out. */
export async function lookedOnPhone(page, name) {
  const before = page.viewportSize();
  await page.setViewportSize({ width: 390, height: 844 });
  await page.screenshot({ path: `${settings.out}/${name}-phone.png`, fullPage: true });
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  await page.setViewportSize(before);
  if (over > 0) throw new Error(`${name} is ${over} points too wide for a phone`);
}

export function is(found, wanted) {
  if (found !== wanted) throw new Error(`expected ${JSON.stringify(wanted)}, found ${JSON.stringify(found)}`);
}
