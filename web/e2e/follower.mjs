// A follower's dashboard while the leader is killed: nothing typed is lost, and it is usable again soon.
import { execSync } from "node:child_process";
import { check, failures, logIn, openBrowser, settings } from "./harness.mjs";

/** How long the cluster may take to have a leader again, at the very worst. Milliseconds. */
const LED_AGAIN = 60_000;
const { browser, page } = await openBrowser();
const dialog = page.getByRole("dialog");

await check("a follower's dashboard is logged in to", async () => {
  await page.goto(`${settings.url}/settings/users`);
  await logIn(page);
  await page.getByRole("heading", { name: "Users" }).waitFor();
});
await check("while the leader dies, what is typed stays, and is taken", async () => {
  await page.getByRole("button", { name: "Add a user" }).click();
  await dialog.getByLabel("E-mail address").fill("ada@example.test");
  execSync(settings.kill, { stdio: "ignore" });
  const began = Date.now();
  const added = dialog.getByText("Nobody can show it again");
  const refused = dialog.getByRole("alert");
  while (!(await added.isVisible())) {
    if ((await dialog.getByLabel("E-mail address").inputValue()) !== "ada@example.test")
      throw new Error("what was typed is gone");
    if (Date.now() - began > LED_AGAIN) throw new Error("there is no leader");
    await dialog.getByRole("button", { name: "Add", exact: true }).click();
    await added.or(refused).first().waitFor();
  }
  console.log(`    taken ${Date.now() - began} ms after the leader was killed`);
  await dialog.getByRole("button", { name: "Done" }).click();
  await page.getByRole("cell", { name: "ada@example.test", exact: true }).waitFor();
});
await check("the cluster's page tells which node is missing", async () => {
  await page.goto(`${settings.url}/cluster`);
  await page.getByText("Lost", { exact: true }).first().waitFor({ timeout: LED_AGAIN });
  await page.screenshot({ path: `${settings.out}/leader-lost.png` });
});

await browser.close();
process.exit(failures() === 0 ? 0 : 1);
