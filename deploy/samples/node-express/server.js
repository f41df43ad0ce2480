import express from "express";

const port = Number(process.env.PORT ?? 3000);
const greeting = process.env.GREETING ?? "Hello";

const escape = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.codePointAt(0)};`);

const page = `<!doctype html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Express on Temps</title>
    <link rel="stylesheet" href="/style.css">
</head>
<body>
<main>
    <h1>${escape(greeting)} from Express</h1>
    <p>Node.js <code>${process.version}</code> in a container. Its health check is <code>/healthz</code>.</p>
    <p>Change the greeting with <code>temps env set GREETING=… --project node-express</code> and deploy again.</p>
</main>
</body>
</html>
`;

const app = express();
app.disable("x-powered-by");
app.get("/", (_request, response) => response.send(page));
app.get("/healthz", (_request, response) => response.send("ok"));
app.use(express.static("public"));

const server = app.listen(port, () => console.log(`listening on port ${port}`));

// Requests that have begun are finished before the container ends.
process.on("SIGTERM", () => server.close(() => process.exit(0)));
