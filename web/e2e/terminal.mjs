// A shell in a replica, in the page that has it.
import { check, is } from "./harness.mjs";

/** What the terminal shows, line by line. */
const shown = (page) => page.locator(".xterm-rows").innerText();
const shows = (page, pattern) =>
  page.waitForFunction(
    (source) => new RegExp(source).test(document.querySelector(".xterm-rows")?.innerText),
    typeof pattern === "string" ? pattern : pattern.source,
  );

/** How many rows the shell believes its terminal to have. */
async function rowsOf(page, name) {
  await page.keyboard.type(`echo ${name}=$(stty size)=\n`);
  await shows(page, new RegExp(`${name}=\\d`));
  return Number(new RegExp(`${name}=(\\d+)`).exec(await shown(page))[1]);
}

/** Opens a terminal in a replica of `project`, types, and looks; `look` judges a page and takes its picture. */
export async function terminalStory(page, look, go, project) {
  const complaints = [];
  let terminal = page;
  await check("a replica's terminal opens in a page of its own", async () => {
    await go(`/projects/${project}`);
    const opened = page.context().waitForEvent("page");
    await page
      .getByRole("link", { name: /^Terminal in/ })
      .first()
      .click();
    terminal = await opened;
    terminal.on("console", (message) => {
      // A refused WebSocket, which the last check asks for, is told by the browser itself.
      if (message.type() === "error" && !/Failed to load resource|WebSocket connection/.test(message.text()))
        complaints.push(message.text());
    });
    terminal.on("pageerror", (error) => complaints.push(String(error)));
    await terminal.getByText("Connected", { exact: true }).waitFor();
  });
  await check("what is typed there runs in the replica", async () => {
    await terminal.keyboard.type("echo $((6*7)) is it; ls --color\n");
    await shows(terminal, "42 is it");
    await shows(terminal, "package.json");
  });
  await check("the terminal is accessible in both themes", () => look(terminal, "terminal"));
  await check("it is as large as the page", async () => {
    const before = await rowsOf(terminal, "before");
    await terminal.setViewportSize({ width: 800, height: 500 });
    await terminal.waitForFunction(
      (rows) => document.querySelector(".xterm-rows").children.length < rows,
      before,
    );
    const after = await rowsOf(terminal, "after");
    is(after, await terminal.locator(".xterm-rows > *").count());
    if (after >= before) throw new Error(`${before} rows, then ${after}`);
    await terminal.setViewportSize({ width: 1280, height: 860 });
  });
  await check("the keyboard leads out of it, and back", async () => {
    await terminal.keyboard.press("Shift+F6");
    is(await terminal.evaluate(() => document.activeElement.textContent), "Run anew");
    await terminal.locator(".xterm-helper-textarea").focus();
  });
  await check("a shell that ends says so, and another one is a key away", async () => {
    await terminal.keyboard.type("exit 3\n");
    await terminal.getByText("Ended with code 3").waitFor();
    await look(terminal, "terminal-ended");
    await terminal.keyboard.press("Enter");
    await terminal.getByText("Connected", { exact: true }).waitFor();
  });
  await check("another command is run where it is asked for", async () => {
    await terminal.getByLabel("Command").fill("echo one two");
    await terminal.getByRole("button", { name: "Run anew" }).click();
    await terminal.getByText("Ended with code 0").waitFor();
    await shows(terminal, "one two");
  });
  await check("a refusal says why", async () => {
    const url = new URL(terminal.url());
    url.searchParams.set("replica", "rep_00000000000000000000000000");
    await terminal.goto(url.href);
    await terminal.getByRole("alert").getByText(/req_/).waitFor();
    await look(terminal, "terminal-refused");
  });
  await terminal.close();
  await check("the terminal has nothing to complain about", async () => is(complaints.join("\n"), ""));
}
