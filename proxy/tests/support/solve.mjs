// Runs the script of a challenge page, which comes on standard input, as a browser would; prints what it sends.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const html = readFileSync(0, "utf8");
const script = html.match(/<script nonce="[0-9a-f]+">([\s\S]*)<\/script>/)[1];
const elements = new Map();
const element = (id) => elements.get(id) ?? elements.set(id, { textContent: "", hidden: true }).get(id);
let sent;
vm.runInNewContext(script, {
  document: { getElementById: element },
  navigator: { cookieEnabled: true },
  location: { reload: () => process.stdout.write(JSON.stringify(sent)) },
  fetch: async (path, { method, body }) => {
    sent = { path, method, body: body.toString() };
    return { ok: true, status: 200 };
  },
  MessageChannel, URLSearchParams, Date, Math, Int32Array,
});
