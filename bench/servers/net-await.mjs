/** An awaiting loop over Node's sockets, by hand and without limits: what promises cost, and what a context adds to them. */
import { AsyncLocalStorage } from "node:async_hooks";
import { createServer } from "node:net";
import { mode, ready, unknownMode } from "./control.mjs";

const storage = new AsyncLocalStorage();

/** @type {Record<string, (socket: import("node:net").Socket) => Promise<void>>} */
const HANDLERS = {
  bare: echo,
  context: (socket) => storage.run({ socket }, echo, socket),
};

const handler = HANDLERS[mode] ?? unknownMode();
const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  void handler(socket);
});
server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => ready(/** @type {any} */ (server.address()).port));

/** @param {import("node:net").Socket} socket */
async function echo(socket) {
  /** @type {((chunk: Buffer) => void) | null} */
  let give = null;
  /** @type {Buffer[]} */
  const waiting = [];
  socket.on("data", (chunk) => {
    if (give === null) {
      waiting.push(chunk);
    } else {
      give(chunk);
      give = null;
    }
  });
  while (!socket.destroyed) {
    const chunk =
      waiting.shift() ??
      (await new Promise((/** @type {(chunk: Buffer) => void} */ resolve) => {
        give = resolve;
      }));
    socket.write(chunk);
  }
}
