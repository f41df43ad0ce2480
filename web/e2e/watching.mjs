// What is watched: requests that edges answer, and replicas where they run.
import { check, lookedOnPhone } from "./harness.mjs";

/** The requests of the project "shop", as they come and filtered. */
export async function requestsStory(page, seen, go) {
  await check("requests are shown as the edge answers them, and filtered", async () => {
    await go("/projects/shop");
    const link = page.getByRole("link", { name: /shop-production/ }).first();
    const url = await link.getAttribute("href");
    await go("/projects/shop/requests");
    const visitor = await page.context().newPage();
    await visitor.goto(new URL("/nowhere?token=s3cret", url).href);
    await visitor.goto(url);
    await visitor.close();
    const requests = page.getByRole("region", { name: "Requests" });
    await requests.getByText("GET /nowhere").waitFor();
    await requests.getByText("GET /", { exact: true }).waitFor();
    if ((await page.content()).includes("s3cret")) throw new Error("what the query carried is shown");
    await page.getByLabel("Path begins with").fill("/nowh");
    await requests.getByText("GET /", { exact: true }).waitFor({ state: "detached" });
    await page.reload();
    await requests.getByText("GET /nowhere").waitFor();
    await page.getByLabel("Path begins with").fill("");
    await requests.getByText("GET /", { exact: true }).waitFor();
    await page.getByRole("img", { name: /^Requests in .*: \d+ answered/ }).waitFor();
  });
  await seen("requests");
  await check("requests fit a phone", () => lookedOnPhone(page, "requests"));
}

/** The cluster with the replicas of "shop". */
export async function placementStory(page, seen, go) {
  await check("the cluster shows where replicas run", async () => {
    await go("/cluster");
    const here = page.getByRole("list", { name: /^Replicas on / });
    await here.getByText("Healthy").nth(1).waitFor();
    await here.getByRole("link", { name: /shop/ }).first().click();
    await page.waitForURL("**/projects/shop?env=production");
  });
  await go("/cluster");
  await page.getByRole("list", { name: /^Replicas on / }).waitFor();
  await seen("cluster-with-replicas");
  await check("placement fits a phone", () => lookedOnPhone(page, "cluster-with-replicas"));
}
