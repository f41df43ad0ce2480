// What an admin does in the settings: people, keys, certificates, DNS, what is let in.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check, is, logIn, lookedOnPhone, settings } from "./harness.mjs";

/** Every page of the settings is shown, judged, and seen on a phone. */
async function shown(page, seen, name) {
  await page.waitForFunction(() => document.querySelector("main .animate-pulse") === null);
  await seen(name);
  await check(`${name} fits a phone`, () => lookedOnPhone(page, name));
}

const dialog = (page) => page.getByRole("dialog");

export async function accessStory(page, seen, go) {
  await check("a user is added, and their password is shown once", async () => {
    await go("/settings/users");
    await page.getByRole("button", { name: "Add a user" }).click();
    await dialog(page).getByLabel("E-mail address").fill("ada@example.test");
    await dialog(page).getByLabel("Reader").check();
    await seen("add-user");
    await dialog(page).getByRole("button", { name: "Add", exact: true }).click();
    await dialog(page).getByText("Nobody can show it again").waitFor();
    await dialog(page).getByRole("button", { name: "Done" }).click();
    await page.getByRole("cell", { name: "ada@example.test", exact: true }).waitFor();
  });
  await check("the same address is refused a second time, with code and request id", async () => {
    await page.getByRole("button", { name: "Add a user" }).click();
    await dialog(page).getByLabel("E-mail address").fill("ada@example.test");
    await dialog(page).getByRole("button", { name: "Add", exact: true }).click();
    await dialog(page).getByRole("alert").getByText(/req_/).waitFor();
    await page.keyboard.press("Escape");
  });
  await check("a user gets another role", async () => {
    await page.getByRole("button", { name: "What to do with ada@example.test" }).click();
    await page.getByRole("menuitem", { name: "Change the role" }).click();
    await dialog(page).getByLabel("Admin").check();
    await dialog(page).getByRole("button", { name: "Change" }).click();
    await page.getByRole("row", { name: /ada@example.test.*admin/i }).waitFor();
  });
  await shown(page, seen, "users");
  await check("removing a user says what is lost, and asks for their address", async () => {
    await page.getByRole("button", { name: "What to do with ada@example.test" }).click();
    await page.getByRole("menuitem", { name: "Remove" }).click();
    await dialog(page).getByText("stops working at once").waitFor();
    await seen("remove-user");
    await dialog(page).getByLabel("Type ada@example.test to go on").fill("ada@example.test");
    await dialog(page).getByRole("button", { name: "Remove the user" }).click();
    await page.getByRole("cell", { name: "ada@example.test", exact: true }).waitFor({ state: "detached" });
  });
  await keyStory(page, seen, go);
  await check("the audit log tells it in words, and is searched", async () => {
    await go("/settings/audit");
    await page.getByText("added the user").first().waitFor();
    await page.getByRole("searchbox").fill("revoked the API key");
    await page.getByText("added the user").first().waitFor({ state: "detached" });
    await page.getByRole("searchbox").fill("");
  });
  await shown(page, seen, "audit");
  await check("the profile says who one is, and a new password keeps this session", async () => {
    await go("/settings/profile");
    await page.getByLabel("New password").fill(settings.password);
    await page.getByLabel("The same once more").fill(settings.password);
    await page.getByRole("button", { name: "Change the password" }).click();
    await page.getByText("Other sessions have ended").waitFor();
    await page.getByText("this browser", { exact: true }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Profile" }).waitFor();
  });
  await check("another browser's session is listed, and ended: it is asked to log in at once", async () => {
    const other = await page.context().browser().newContext();
    const theirs = await other.newPage();
    await theirs.goto(`${settings.url}/settings/audit`);
    await logIn(theirs);
    await theirs.getByRole("heading", { name: "Audit log" }).waitFor();
    await page.getByRole("button", { name: "End it" }).click();
    await page.getByRole("button", { name: "End it" }).waitFor({ state: "detached" });
    await theirs.getByRole("button", { name: "Log in" }).waitFor();
    await other.close();
  });
  await shown(page, seen, "profile");
}

async function keyStory(page, seen, go) {
  await check("an API key is made, shown once, and works", async () => {
    await go("/settings/api-keys");
    await page.getByRole("button", { name: "New key" }).click();
    await dialog(page).getByLabel("Name").fill("CI of the shop");
    await seen("create-key");
    await dialog(page).getByRole("button", { name: "Make the key" }).click();
    const key = await dialog(page).getByText(/^tk_/).textContent();
    const answer = await fetch(`${settings.url}/api/projects`, {
      headers: { authorization: `Bearer ${key}` },
    });
    is(answer.status, 200);
    await seen("key-once");
    await dialog(page).getByRole("button", { name: "Done" }).click();
    if ((await page.content()).includes(key)) throw new Error("the key is in the page still");
  });
  await shown(page, seen, "api-keys");
  await check("a key is revoked", async () => {
    await page.getByRole("button", { name: "Revoke CI of the shop" }).click();
    await dialog(page).getByLabel("Type CI of the shop to go on").fill("CI of the shop");
    await dialog(page).getByRole("button", { name: "Revoke the key" }).click();
    await page.getByText("CI of the shop", { exact: true }).waitFor({ state: "detached" });
  });
}

export async function edgeStory(page, seen, go) {
  const folder = mkdtempSync(join(tmpdir(), "temps-certificate-"));
  const [chain, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=shop -addext";
  const names = "subjectAltName=DNS:shop.example.test,DNS:www.shop.example.test";
  execFileSync("openssl", [...made.split(" "), names, "-keyout", key, "-out", chain], { stdio: "ignore" });
  await check("a certificate without its key is refused with the reason", async () => {
    await go("/settings/certificates");
    await page.getByRole("button", { name: "Bring a certificate" }).click();
    await dialog(page).getByLabel("Certificate", { exact: true }).fill(readFileSync(chain, "utf8"));
    await dialog(page).getByLabel("Private key", { exact: true }).fill("this is no key");
    await dialog(page).getByRole("button", { name: "Bring it" }).click();
    await dialog(page).getByRole("alert").getByText(/req_/).waitFor();
  });
  await seen("certificate-refused");
  await check("a certificate is brought from files", async () => {
    await dialog(page).getByLabel("File with the certificate").setInputFiles(chain);
    await dialog(page).getByLabel("File with the private key").setInputFiles(key);
    await dialog(page).getByRole("button", { name: "Bring it" }).click();
    await dialog(page)
      .getByRole("button", { name: "Done" })
      .click({ timeout: 5_000 })
      .catch(() => {});
    await page.getByRole("cell", { name: /www.shop.example.test/ }).waitFor();
  });
  rmSync(folder, { recursive: true });
  await shown(page, seen, "certificates");
  await check("a certificate is deleted", async () => {
    await page.getByRole("button", { name: "Delete the certificate of shop.example.test" }).click();
    await dialog(page).getByLabel("Type shop.example.test to go on").fill("shop.example.test");
    await dialog(page).getByRole("button", { name: "Delete the certificate" }).click();
    await page.getByText("www.shop.example.test").waitFor({ state: "detached" });
  });
  await check("the settings are saved, and say so", async () => {
    await go("/settings");
    await page.getByLabel("Zones").fill("apps.example.test");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.", { exact: true }).waitFor();
  });
  await shown(page, seen, "settings");
  await check("a zone says how it is handed over", async () => {
    await go("/settings/dns");
    await page.getByText("apps.example.test", { exact: true }).first().waitFor();
  });
  await check("a DNS provider that nobody can reach is refused with the reason", async () => {
    await page.getByRole("button", { name: "Add a provider" }).click();
    await dialog(page).getByLabel("Provider").selectOption("rfc2136");
    await dialog(page).getByLabel("Zones").fill("example.test");
    await dialog(page).getByLabel("Primary server").fill("127.0.0.1:1");
    await dialog(page).getByLabel("Name of the key").fill("temps");
    await dialog(page).getByLabel("Key in Base64").fill("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0");
    await dialog(page).getByRole("button", { name: "Add", exact: true }).click();
    await dialog(page).getByRole("alert").getByText(/req_/).waitFor();
    await seen("dns-refused");
    await page.keyboard.press("Escape");
  });
  await shown(page, seen, "dns");
  await check("what is let in is changed, and taken back", async () => {
    await go("/settings/protection");
    await page.getByLabel("Kept out", { exact: true }).fill("not a network");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("alert").getByText(/req_/).waitFor();
    await page.getByLabel("Kept out", { exact: true }).fill("203.0.113.0/24\n2001:db8::/32");
    await page.getByLabel("One client", { exact: true }).fill("1000/1m");
    await page.getByLabel("Auto").check();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.", { exact: true }).waitFor();
    await page.reload();
    is(await page.getByLabel("One client", { exact: true }).inputValue(), "1000/1m");
  });
  await shown(page, seen, "protection");
  await check("everything is taken back at once", async () => {
    await page.getByRole("button", { name: "Take everything back" }).click();
    await dialog(page).getByLabel("Type everything to go on").fill("everything");
    await dialog(page).getByRole("button", { name: "Take it back" }).click();
    await page.waitForFunction(() => document.querySelector("textarea")?.value === "");
  });
  await check("security headers of one’s own are set", async () => {
    await go("/settings/headers");
    await page.getByLabel("Your own").check();
    await page.getByLabel("Name of header 1").fill("X-Frame-Options");
    await page.getByLabel("Value of header 1").fill("DENY");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.", { exact: true }).waitFor();
  });
  await shown(page, seen, "headers");
  await check("and left out again", async () => {
    await page.getByRole("radio", { name: /^Off/ }).check();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.", { exact: true }).waitFor();
  });
}

/** Everything is found by the keyboard. */
export async function paletteStory(page, seen, go) {
  await check("the palette opens by its keys, finds a page, and leads there", async () => {
    await go("/");
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: /^Find/ }).waitFor();
    await seen("palette");
    await page.keyboard.type("audit");
    await page.getByRole("option", { name: /Audit log/ }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL("**/settings/audit");
  });
  await check("palette fits a phone", async () => {
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: /^Find/ }).waitFor();
    await lookedOnPhone(page, "palette");
    await page.keyboard.press("Escape");
    await page.getByRole("combobox", { name: /^Find/ }).waitFor({ state: "detached" });
  });
  await check("keys of their own lead to pages and to help, and can be switched off", async () => {
    await page.keyboard.press("g");
    await page.keyboard.press("c");
    await page.waitForURL("**/cluster");
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: "Keyboard shortcuts" }).waitFor();
    await seen("shortcuts");
    await page.getByLabel("Shortcuts of a single key").uncheck();
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    is(await page.getByRole("dialog").count(), 0);
    await page.keyboard.press("Control+k");
    await page.keyboard.type("keyboard");
    await page.keyboard.press("Enter");
    await page.getByLabel("Shortcuts of a single key").check();
    await page.keyboard.press("Escape");
  });
}
