// What comes after something went wrong: trying again, sending what was mended, switching off and on.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check, is } from "./harness.mjs";

/** The project "broken", whose first deployment has failed, is mended without a terminal. */
export async function mendStory(page, seen, go) {
  const dialog = page.getByRole("dialog");
  await check("a deployment that failed is tried again", async () => {
    await go("/projects/broken/deployments/1");
    await page.getByRole("button", { name: "Try again" }).click();
    await dialog.getByText("is built once more").waitFor();
    await dialog.getByRole("button", { name: "Try again" }).click();
    await page.waitForURL("**/projects/broken/deployments/2");
    await page.getByRole("alert").getByText("What to do").waitFor({ timeout: 120_000 });
  });
  const folder = mkdtempSync(join(tmpdir(), "temps-mended-"));
  writeFileSync(join(folder, "index.html"), "<h1>Mended</h1>");
  await check("what was mended is sent to the project that is there", async () => {
    await go("/projects/broken");
    await page.getByRole("button", { name: "Deploy", exact: true }).click();
    await dialog.getByText("Drop a folder").waitFor();
    await seen("deploy-a-folder");
    await dialog.getByLabel("Folder to deploy").setInputFiles(folder);
    await page.waitForURL("**/projects/broken/deployments/3");
    await page.getByText("Served at").waitFor({ timeout: 60_000 });
  });
  rmSync(folder, { recursive: true });
  await check("deployments are searched", async () => {
    await go("/projects/broken/deployments");
    await page.getByRole("link", { name: "#3" }).waitFor();
    await page.getByRole("searchbox").fill("failed");
    await page.getByRole("link", { name: "#3" }).waitFor({ state: "detached" });
    await page.getByRole("link", { name: "#2" }).waitFor();
    await page.getByRole("searchbox").fill("nobody wrote this");
    await page.getByText("No deployment has that").waitFor();
  });
  await disabling(page, go);
}

async function disabling(page, go) {
  const dialog = page.getByRole("dialog");
  await check("switching a project off says who is refused, and asks for its name", async () => {
    await go("/projects/broken");
    const url = await page.getByRole("link", { name: /^http/ }).first().getAttribute("href");
    const answers = async () => {
      const visitor = await page.context().newPage();
      const answer = await visitor.goto(url);
      await visitor.close();
      return answer.status();
    };
    is(await answers(), 200);
    await go("/projects/broken/settings");
    await page.getByLabel("Disabled").click();
    await dialog.getByText(/everybody is refused/).waitFor();
    await dialog.getByLabel("Type broken to go on").fill("broken");
    await dialog.getByRole("button", { name: "Disable the project" }).click();
    await dialog.waitFor({ state: "detached" });
    is(await answers(), 403);
    await go("/projects/broken");
    await page.getByText("Disabled", { exact: true }).first().waitFor();
    await go("/projects/broken/settings");
    await page.getByLabel("Disabled").click();
    await page.getByRole("checkbox", { name: "Disabled", checked: false }).waitFor();
    is(await answers(), 200);
  });
}

/** A dialog is opened, filled in and closed by the keyboard alone. */
export async function keyboardStory(page, go) {
  await check("who opens a dialog types into its first field, and is back where they were", async () => {
    await go("/projects/shop/environments");
    await page.getByRole("button", { name: "Add", exact: true }).press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.type("TYPED_NAME");
    is(await page.getByRole("dialog").getByLabel("Name").inputValue(), "TYPED_NAME");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    is(await page.evaluate(() => document.activeElement?.textContent?.trim()), "Add");
  });
}
