import js from "@eslint/js";
import hooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "node_modules", "src/api/schema.d.ts", "out"] },
  js.configs.recommended,
  ...tseslint.configs.strict,
  hooks.configs.flat.recommended,
  {
    rules: {
      "max-lines": ["error", 250],
      "no-console": "error",
      "no-restricted-globals": ["error", { name: "fetch", message: "use api/client or api/stream" }],
    },
  },
  {
    files: ["scripts/**", "e2e/**"],
    languageOptions: {
      globals: {
        console: "readonly",
        process: "readonly",
        fetch: "readonly",
        window: "readonly",
        document: "readonly",
        URL: "readonly",
        Buffer: "readonly",
      },
    },
    rules: { "no-console": "off", "no-restricted-globals": "off" },
  },
  { files: ["src/api/**"], rules: { "no-restricted-globals": "off" } },
);
