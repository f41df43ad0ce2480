// A gRPC service that sends every message back once it has all of it, and speaks HTTP/2 only.
const http2 = require("node:http2");

const head = { ":status": 200, "content-type": "application/grpc" };
// What is before each message: whether it is compressed, and its length.
const prefix = 5;

const server = http2.createServer();
server.on("stream", (stream, request) => {
  stream.on("error", () => stream.destroy());
  if (request[":path"] !== "/echo.Echo/Say") {
    return stream.respond({ ...head, "grpc-status": "12", "grpc-message": "nobody does that" }, { endStream: true });
  }
  let messages = 0;
  let arrived = Buffer.alloc(0);
  stream.respond(head, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-messages": String(messages) }));
  stream.on("data", (piece) => {
    arrived = Buffer.concat([arrived, piece]);
    while (arrived.length >= prefix && arrived.length >= prefix + arrived.readUInt32BE(1)) {
      const end = prefix + arrived.readUInt32BE(1);
      stream.write(arrived.subarray(0, end));
      arrived = arrived.subarray(end);
      messages += 1;
    }
  });
  stream.on("end", () => stream.end());
});
// Whoever asks in another way, as health checks do.
server.on("sessionError", () => {});
server.listen(Number(process.env.PORT));
process.on("SIGTERM", () => process.exit(0));
