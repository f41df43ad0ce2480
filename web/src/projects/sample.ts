import type { TreeFile } from "./tree";

const PAGE = `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>It works</title>
  <style>
    :root { color-scheme: light dark; }
    body { font: 1.1rem/1.6 system-ui, sans-serif; display: grid; place-content: center; min-height: 90vh; margin: 0 1rem; }
    h1 { font-size: 3rem; margin: 0; }
  </style>
  <h1>It works.</h1>
  <p>Every node of your cluster serves this page.<br>Now deploy something of your own.</p>
</html>
`;

/** An app of one page. */
export function sampleFiles(): TreeFile[] {
  return [{ path: "index.html", content: new Blob([PAGE], { type: "text/html" }) }];
}
