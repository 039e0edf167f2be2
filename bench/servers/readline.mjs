/** node:readline over a socket: its 'line' events. */
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { mode, ready, unknownMode } from "./control.mjs";

if (mode !== "lines") {
  unknownMode();
}
const server = createServer({ noDelay: true }, (socket) => {
  const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
  lines.on("line", (line) => socket.write(`${line}\n`));
  // It hands on the socket's errors, and clients end by closing in the middle of it.
  lines.on("error", () => socket.destroy());
  socket.on("error", () => socket.destroy());
});
server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => ready(/** @type {any} */ (server.address()).port));
