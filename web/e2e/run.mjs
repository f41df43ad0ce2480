// What a new user does, in a real browser, against a real node: npm run browser
import { check, failures, is, looked, lookedOnPhone, openBrowser, settings } from "./harness.mjs";
import { accessStory, edgeStory, paletteStory } from "./settings.mjs";
import {
  clusterStory,
  configureStory,
  detectionStory,
  failureStory,
  projectProtectionStory,
} from "./stories.mjs";
import { terminalStory } from "./terminal.mjs";

const FIRST_PAGE_BYTES_MAX = 200_000;
const { browser, page, complaints } = await openBrowser();
const seen = (name) => check(`${name} is accessible in both themes`, () => looked(page, name));
const go = (path) => page.goto(settings.url + path);

let received = 0;
page.on("requestfinished", async (request) => {
  const sizes = await request.sizes().catch(() => null);
  received += sizes === null ? 0 : sizes.responseBodySize + sizes.responseHeadersSize;
});

await check("who is not logged in comes to the login", async () => {
  await go("/cluster");
  await page.waitForURL("**/login?next=*");
  await page.getByRole("button", { name: "Log in" }).waitFor();
});
await check("the first page is small", async () => {
  await page.waitForLoadState("networkidle");
  console.log(`    ${received} octets until the login is shown`);
  if (received > FIRST_PAGE_BYTES_MAX) throw new Error(`${received} octets`);
});
await seen("login");
await check("a wrong password is refused with code and request id", async () => {
  await page.getByLabel("E-mail address").fill(settings.email);
  await page.getByLabel("Password").fill("not-the-password");
  await page.getByRole("button", { name: "Log in" }).click();
  const alert = page.getByRole("alert");
  await alert.getByText(/req_/).waitFor();
});
await seen("login-refused");
await check("the right one leads to where one wanted to go", async () => {
  await page.getByLabel("Password").fill(settings.password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL("**/cluster");
  await page.getByRole("heading", { name: "Cluster" }).waitFor();
});

await check("an empty cluster says how to begin", async () => {
  await go("/");
  await page.getByRole("button", { name: "Deploy the sample" }).waitFor();
});
await seen("start");
await check("one click deploys the sample, and its address ends the deploy", async () => {
  await page.getByRole("button", { name: "Deploy the sample" }).click();
  await page.waitForURL("**/projects/sample/deployments/1");
  await page.getByText("Served at").waitFor({ timeout: 60_000 });
});
await seen("deployment-live");
await check("the app is served at that address", async () => {
  const url = await page.getByRole("link", { name: /^http/ }).first().getAttribute("href");
  const app = await page.context().newPage();
  await app.goto(url);
  is(await app.getByRole("heading").first().textContent(), "It works.");
  await app.close();
});
await check("a second deployment goes live", async () => {
  await page.getByRole("button", { name: "Deploy again" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Deploy again" }).click();
  await page.waitForURL("**/projects/sample/deployments/2");
  await page.getByText("Served at").waitFor({ timeout: 60_000 });
});
await check("a rollback says what changes, and is live at once", async () => {
  await go("/projects/sample/deployments/1");
  await page.getByRole("button", { name: "Roll back to this" }).click();
  await page.getByRole("dialog").getByText("Live now").waitFor();
  await looked(page, "rollback");
  await page.getByRole("button", { name: "Roll back to #1" }).click();
  await page.getByText("Served at").waitFor({ timeout: 60_000 });
});

await detectionStory(page, seen, go);
await configureStory(page, seen, go);
await terminalStory(page, looked, go, "shop");
await projectProtectionStory(page, seen, go);
await clusterStory(page, seen, go);
for (const [name, path, heading] of [
  ["projects", "/", "Projects"],
  ["overview", "/projects/sample", "Overview"],
  ["deployments", "/projects/sample/deployments", "Deployments"],
  ["new", "/new", "New project"],
]) {
  await check(`${name} is shown`, async () => {
    await go(path);
    await page.getByRole("heading", { name: heading, exact: true }).waitFor();
    await page.waitForFunction(() => document.querySelector("[role=status]") === null);
  });
  await seen(name);
  await check(`${name} fits a phone`, () => lookedOnPhone(page, name));
}
await accessStory(page, seen, go);
await edgeStory(page, seen, go);
await paletteStory(page, seen, go);
await failureStory(page, seen, go);
await check("the browser has nothing to complain about", async () => is(complaints.join("\n"), ""));

await browser.close();
process.exit(failures() === 0 ? 0 : 1);
