import { fileURLToPath } from "node:url";
import tailwind from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The node that `npm run dev` speaks to.
const node = process.env.TEMPS_API_URL ?? "http://127.0.0.1:3000";

export default defineConfig({
  plugins: [react(), tailwind()],
  resolve: { alias: { "@": fileURLToPath(new URL("src", import.meta.url)) } },
  // Nothing is inlined: the node allows files of its own only.
  build: {
    assetsInlineLimit: 0,
    // The terminal is a document of its own: what emulates it writes styles, which the dashboard's policy forbids.
    rollupOptions: { input: ["index.html", "terminal.html"] },
    modulePreload: { polyfill: false },
    target: ["chrome123", "firefox120", "safari17.5"],
  },
  server: {
    proxy: Object.fromEntries(
      ["/api", "/api-docs", "/swagger-ui", "/healthz", "/readyz"].map((path) => [
        path,
        { target: node, ws: true },
      ]),
    ),
  },
});
