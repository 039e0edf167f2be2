/** A socket iterated over: `for await (const chunk of socket)`. */
import { once } from "node:events";
import { createServer } from "node:net";
import { mode, ready, unknownMode } from "./control.mjs";

if (mode !== "echo") {
  unknownMode();
}
const server = createServer({ noDelay: true }, (socket) => {
  echo(socket).catch(() => socket.destroy());
});
server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => ready(/** @type {any} */ (server.address()).port));

/** @param {import("node:net").Socket} socket */
async function echo(socket) {
  for await (const chunk of socket) {
    if (!socket.write(chunk)) {
      await once(socket, "drain");
    }
  }
}
