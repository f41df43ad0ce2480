// The app that the end-to-end stories deploy: it answers with its version, and shows what a container was given.
const { createHash } = require("node:crypto");
const { createReadStream, createWriteStream, readFileSync } = require("node:fs");
const http = require("node:http");
const { pipeline } = require("node:stream");

const port = Number(process.env.PORT ?? 3000);
const version = readFileSync(`${__dirname}/version`, "utf8").trim();
const cronHeaders = [];
const subscribers = new Set();
const upload = "/tmp/upload";
let healthChecks = 0;

const pages = {
  "/": (_request, response) => response.end(version),
  "/healthz": (_request, response) => {
    healthChecks += 1;
    response.end("ok");
  },
  "/health-checks": (_request, response) => response.end(String(healthChecks)),
  // Answers after as many milliseconds as the query says.
  "/slow": (_request, response, url) => setTimeout(() => response.end(version), Number(url.searchParams.get("ms"))),
  "/variable": (_request, response, url) => response.end(process.env[url.searchParams.get("name")] ?? "(unset)"),
  "/headers": (request, response) => response.end(JSON.stringify(request.headers)),
  "/cron": (request, response) => {
    cronHeaders.push({ "x-cron-job": request.headers["x-cron-job"], authorization: request.headers.authorization });
    response.end("done");
  },
  "/cron-seen": (_request, response) => response.end(JSON.stringify(cronHeaders)),
  "/echo": (request, response) => request.pipe(response),
  "/crash": (_request, response) => {
    response.end("bye");
    process.exit(7);
  },
  // Three events, the last one a while after the first.
  "/events": (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    response.write("data: 1\n\n");
    setTimeout(() => response.write("data: 2\n\n"), 1500);
    setTimeout(() => response.end("data: 3\n\n"), 3000);
  },
  // Events that are sent when /publish is asked to, which answers with how many they are sent to.
  "/subscribe": (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    response.flushHeaders();
    subscribers.add(response);
    response.on("close", () => subscribers.delete(response));
  },
  "/publish": (_request, response, url) => {
    for (const subscriber of subscribers) subscriber.write(`data: ${url.searchParams.get("event")}\n\n`);
    response.end(String(subscribers.size));
  },
  // Keeps what is put there, answers with its digest, and gives it back.
  "/upload": (request, response) => {
    if (request.method === "GET") return pipeline(createReadStream(upload), response, () => {});
    const digest = createHash("sha256");
    request.on("data", (piece) => digest.update(piece));
    pipeline(request, createWriteStream(upload), (error) => (error ? response.destroy() : response.end(digest.digest("hex"))));
  },
};

const server = http.createServer((request, response) => {
  const url = new URL(request.url, "http://app");
  const page = pages[url.pathname];
  if (page) return page(request, response, url);
  response.statusCode = 404;
  response.end("not here");
});

// A WebSocket that echoes short frames as they are, without their mask.
server.on("upgrade", (request, socket) => {
  const accept = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.on("error", () => socket.destroy());
  socket.on("data", (frame) => {
    const length = frame[1] & 0x7f;
    const text = frame.subarray(6, 6 + length).map((byte, i) => byte ^ frame[2 + (i % 4)]);
    socket.write(Buffer.concat([Buffer.from([0x81, length]), text]));
  });
});

console.log(`starting ${version}`);
server.listen(port, () => console.log(`listening on port ${port}`));
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
