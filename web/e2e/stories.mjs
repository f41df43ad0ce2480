// Parts of the story that run.mjs tells.
import { execSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check, looked, lookedOnPhone, settings } from "./harness.mjs";
import { keyboardStory, mendStory } from "./again.mjs";
import { placementStory, requestsStory } from "./watching.mjs";

const SAMPLES = new URL("../../deploy/samples/", import.meta.url).pathname;

/** A Git repository is looked at before it is deployed, and so is what is wrong with it. */
export async function detectionStory(page, seen, go) {
  const repository = mkdtempSync(join(tmpdir(), "temps-repository-"));
  writeFileSync(join(repository, "index.html"), "<h1>From Git</h1>");
  const who = "-c user.name=Ann -c user.email=ann@example.test";
  const git = (line) => execSync(`git ${who} ${line}`, { cwd: repository });
  git("init --quiet --initial-branch=trunk");
  git("add .");
  git("commit --quiet -m 'One page'");
  await go("/new");
  await check("a repository says what will be built of it, and why, before it is", async () => {
    await page.getByLabel("Address of the repository").fill(`file://${repository}`);
    await page.getByRole("button", { name: "See what will be built" }).click();
    const found = page.getByRole("region", { name: "What will be built" });
    await found.getByRole("list", { name: "Why" }).getByText("there is index.html").waitFor();
    await found.getByText("One page").waitFor();
  });
  await seen("detection-git");
  await check("what was found fits a phone", () => lookedOnPhone(page, "detection-git"));
  await check("a branch that is not there says which ones are", async () => {
    await page.getByText("Branch and folder").click();
    await page.getByLabel("Branch").fill("nope");
    await page.getByRole("button", { name: "See what will be built" }).click();
    const alert = page.getByRole("alert");
    await alert.getByText(/What to do: .*trunk/).waitFor();
    await alert.getByText("revision_not_found").waitFor();
  });
  await seen("detection-refused");
  await check("it is deployed as it was shown, from the repository's own branch", async () => {
    await page.getByLabel("Branch").fill("");
    await page.getByLabel("Name", { exact: true }).first().fill("from-git");
    await page.getByRole("button", { name: "See what will be built" }).click();
    await page.getByRole("button", { name: "Deploy", exact: true }).click();
    await page.waitForURL("**/projects/from-git/deployments/1");
    await page.getByText("Served at").waitFor({ timeout: 60_000 });
    await go("/projects/from-git/settings");
    if ((await page.getByRole("textbox", { name: "Branch" }).inputValue()) !== "trunk")
      throw new Error("it has another branch");
  });
  rmSync(repository, { recursive: true });
}

/** An app in containers: its variables, domain, logs and settings. */
export async function configureStory(page, seen, go) {
  await check("a folder is sent, built and served, and its log is shown while it is built", async () => {
    await go("/new");
    await page.getByLabel("Folder to deploy").setInputFiles(join(SAMPLES, "node-express"));
    await page.getByLabel("Name", { exact: true }).last().fill("shop");
    await page.getByRole("list", { name: "Why" }).getByText("package.json has the script").waitFor();
    await looked(page, "detection");
    await page.getByRole("button", { name: "Deploy", exact: true }).last().click();
    await page.waitForURL("**/projects/shop/deployments/1");
    await page.getByRole("log").getByText("preset node").waitFor({ timeout: 60_000 });
    await seen("deployment-building");
    await page.getByText("Served at").waitFor({ timeout: 180_000 });
  });
  await seen("deployment-of-containers");
  await check("a .env is pasted, and secrets are never shown again", async () => {
    await go("/projects/shop/environments");
    await page.getByRole("button", { name: "Paste a .env" }).click();
    await page.getByLabel("Text").fill("GREETING=Welcome\nSTRIPE_SECRET='sk_1'\nLOG_LEVEL=info");
    await page.getByRole("button", { name: "Set 3 variables" }).click();
    await page.getByRole("cell", { name: "Welcome" }).waitFor();
    if ((await page.content()).includes("sk_1")) throw new Error("the secret is in the page");
  });
  await seen("environments");
  await check("environments fit a phone", () => lookedOnPhone(page, "environments"));
  await check("a domain says which record to create, and what nodes see", async () => {
    await go("/projects/shop/domains");
    await page.getByRole("button", { name: "Add a domain" }).click();
    await page.getByLabel("Name").fill("shop.example.test");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByRole("table", { name: /./ }).or(page.getByRole("table")).first().waitFor();
    await page.getByRole("heading", { name: "What each node sees" }).waitFor();
    await page.getByRole("listitem").first().waitFor({ timeout: 30_000 });
  });
  await seen("domains");
  await check("domains fit a phone", () => lookedOnPhone(page, "domains"));
  await check("what containers write is shown, and searched", async () => {
    await go("/projects/shop/logs");
    await page.getByRole("log").locator("time").first().waitFor();
    await page.getByLabel("Search").fill("nothing has this in it");
    await page.getByText("No line has that in it.").waitFor();
    await page.getByLabel("Search").fill("");
  });
  await seen("logs");
  await requestsStory(page, seen, go);
  await check("a project is scaled, and its replicas appear by themselves", async () => {
    await go("/projects/shop");
    await page.getByRole("button", { name: "Scale" }).click();
    await page.getByRole("spinbutton").fill("2");
    await page.getByRole("dialog").getByRole("button", { name: "Scale" }).click();
    await page.getByText("Healthy").nth(1).waitFor({ timeout: 60_000 });
  });
  await check("replicas say what they use", async () => {
    const replicas = page.getByRole("region", { name: "Replicas" });
    await replicas
      .getByText(/^[\d.]+ %$/)
      .nth(1)
      .waitFor({ timeout: 30_000 });
    await replicas
      .getByText(/^[\d.]+ (KiB|MiB|GiB)/)
      .nth(1)
      .waitFor();
    await page.getByRole("img", { name: /^CPU of all replicas: [\d.]+ % now$/ }).waitFor();
  });
  await seen("overview-of-containers");
  await check("overview fits a phone", () => lookedOnPhone(page, "overview-of-containers"));
  await placementStory(page, seen, go);
  await check("a project's settings are shown", async () => {
    await go("/projects/shop/settings");
    await page.getByRole("heading", { name: "Repository" }).waitFor();
  });
  await seen("project-settings");
  await check("deleting asks for the name and says what is lost", async () => {
    await page.getByRole("button", { name: "Delete shop" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("every variable and secret").waitFor();
    if (await dialog.getByRole("button", { name: "Delete the project" }).isEnabled())
      throw new Error("it is not asked for");
    await dialog.getByLabel("Type shop to go on").fill("shop");
  });
  await seen("delete-project");
}

/** What is checked before requests of one project are forwarded, and the headers that its answers get. */
export async function projectProtectionStory(page, seen, go) {
  await check("a project's protection is set for one environment", async () => {
    await go("/projects/shop/protection");
    await page.getByLabel("Holds for").selectOption({ label: "production" });
    await page.getByLabel("Kept out", { exact: true }).fill("203.0.113.0/24");
    await page.getByRole("button", { name: "Save" }).first().click();
    await page.getByText("Saved.", { exact: true }).waitFor();
    await page.getByRole("radio", { name: /^Strict/ }).check();
    await page.getByRole("button", { name: "Save" }).last().click();
    await page.getByText("Saved.", { exact: true }).nth(1).waitFor();
  });
  await seen("project-protection");
  await check("project-protection fits a phone", () => lookedOnPhone(page, "project-protection"));
  await check("what was set for one environment is not the whole project's", async () => {
    await page.reload();
    const inherited = page.getByRole("radio", { name: /^As the wider scope says/ });
    await inherited.last().waitFor();
    if (!(await inherited.last().isChecked())) throw new Error("the project has headers of its own");
    if ((await page.getByLabel("Kept out", { exact: true }).inputValue()) !== "")
      throw new Error("the project has a list of its own");
    await page.getByLabel("Holds for").selectOption({ label: "production" });
    await page.waitForFunction(() => document.querySelector("textarea")?.value === "203.0.113.0/24");
  });
}

/** The cluster: its nodes, a line to join by, a drained node where there is another one. */
export async function clusterStory(page, seen, go) {
  await check("the cluster says how much may go wrong", async () => {
    await go("/cluster");
    await page
      .getByText(/may be lost|the only node/i)
      .first()
      .waitFor();
  });
  await seen("cluster");
  await check("cluster fits a phone", () => lookedOnPhone(page, "cluster"));
  await check("a line to join by is made", async () => {
    await page.getByRole("button", { name: "Add a node" }).click();
    await page.getByRole("button", { name: "Make the line" }).click();
    await page.getByText("temps join").waitFor();
  });
  await seen("add-node");
  await page.keyboard.press("Escape");
  const others = page.getByRole("button", { name: "What to do with n2" });
  if ((await others.count()) === 0) return;
  await check("a node is drained, and taken into use again", async () => {
    await others.click();
    await page.getByRole("menuitem", { name: "Drain" }).click();
    await page.getByRole("button", { name: "Drain", exact: true }).click();
    await page.getByText("Drained").waitFor({ timeout: 60_000 });
    await seen("cluster-drained");
    await others.click();
    await page.getByRole("menuitem", { name: "Take it into use again" }).click();
    await page.getByRole("button", { name: "Take it into use" }).click();
    await page.getByText("Drained").waitFor({ state: "detached" });
  });
}

/** A folder with these files, deployed as a project of its own; what went wrong is told with what to do. */
async function refused(page, seen, go, { project, files, why, name }) {
  const folder = mkdtempSync(join(tmpdir(), `temps-${project}-`));
  await check(name, async () => {
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
    await go("/new");
    await page.getByLabel("Folder to deploy").setInputFiles(folder);
    await page.getByLabel("Name", { exact: true }).last().fill(project);
    await page.getByRole("button", { name: "Deploy", exact: true }).last().click();
    const alert = page.getByRole("alert");
    await alert.getByText("What to do").waitFor({ timeout: 120_000 });
    await alert.getByText(why).first().waitFor();
  });
  rmSync(folder, { recursive: true });
  await seen(`deployment-${project}`);
}

const PAGE_ONLY = `require("http").createServer((_, answer) => answer.writeHead(404).end()).listen(process.env.PORT)`;

/** A build that fails, an app that never gets well, and a node that dies while somebody watches. */
export async function failureStory(page, seen, go) {
  await refused(page, seen, go, {
    name: "a build that fails says why, and what to do",
    project: "broken",
    files: { Dockerfile: "FROM debian:bookworm-slim\nRUN echo it breaks here && exit 3\n" },
    why: /3/,
  });
  await refused(page, seen, go, {
    name: "a health check that never passes says what it got, and what to do",
    project: "unwell",
    files: {
      "package.json": '{"name": "unwell", "scripts": {"start": "node index.js"}}',
      "index.js": PAGE_ONLY,
      "temps.json": '{"health": {"path": "/healthz", "deadlineSeconds": 4, "intervalSeconds": 1}}',
    },
    why: /404/,
  });
  await mendStory(page, seen, go);
  await keyboardStory(page, go);
  if (!settings.kill || !settings.start) return;
  await check("a node that dies is told, what was typed stays, and the page goes on by itself", async () => {
    await go("/projects/shop/environments");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByLabel("Value").fill("typed before");
    execSync(settings.kill, { stdio: "ignore" });
    // It is read out in the dialog, too: nothing behind that can be.
    const lost = page.getByRole("dialog").getByText("This node has not answered");
    await lost.waitFor();
    await page.screenshot({ path: `${settings.out}/node-lost.png` });
    execSync(settings.start, { stdio: "ignore" });
    await lost.waitFor({ state: "detached", timeout: 30_000 });
    if ((await page.getByLabel("Value").inputValue()) !== "typed before")
      throw new Error("what was typed is gone");
  });
}
