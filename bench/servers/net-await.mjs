/** An awaiting loop over Node's sockets, by hand and without limits: what promises cost, and what a context adds to them. */
import { AsyncLocalStorage } from "node:async_hooks";
import { createServer } from "node:net";
import { nextTick } from "node:process";
import { mode, ready, unknownMode } from "./control.mjs";

const storage = new AsyncLocalStorage();

/** @type {Record<string, (socket: import("node:net").Socket) => Promise<void>>} */
const HANDLERS = {
  bare: echo,
  context: (socket) => storage.run({ socket }, echo, socket),
  // As a server's handler would run with this package.
  frames: (socket) => storage.run({ socket }, frames, socket),
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

/**
 * The least that frames cost which are iterated, with an awaited write for each.
 *
 * @param {import("node:net").Socket} socket
 */
async function frames(socket) {
  const written = Promise.resolve();
  /** @param {Buffer} body */
  const send = (body) => {
    const head = Buffer.allocUnsafe(4);
    head.writeUInt32BE(body.length);
    if (socket.writableCorked === 0) {
      socket.cork();
      nextTick(() => socket.uncork());
    }
    socket.write(head);
    socket.write(body);
    return written;
  };
  for await (const body of framesOf(socket)) {
    await send(body);
  }
}

/**
 * @param {import("node:net").Socket} socket
 * @returns {AsyncIterable<Buffer>}
 */
function framesOf(socket) {
  /** @typedef {IteratorResult<Buffer>} Result */
  let bytes = Buffer.alloc(0);
  let from = 0;
  /** @type {((result: Result) => void) | null} */
  let give = null;
  /** @returns {Result | null} */
  const take = () => {
    const end = bytes.length - from < 4 ? Number.POSITIVE_INFINITY : from + 4 + bytes.readUInt32BE(from);
    if (end > bytes.length) {
      return null;
    }
    const value = bytes.subarray(from + 4, end);
    from = end;
    return { done: false, value };
  };
  socket.on("data", (chunk) => {
    bytes = from === bytes.length ? chunk : Buffer.concat([bytes.subarray(from), chunk]);
    from = 0;
    const result = give === null ? null : take();
    if (result !== null) {
      give?.(result);
      give = null;
    }
  });
  const next = () => {
    const result = take();
    return result === null
      ? new Promise((/** @type {(result: Result) => void} */ resolve) => {
          give = resolve;
        })
      : Promise.resolve(result);
  };
  return { [Symbol.asyncIterator]: () => ({ next }) };
}
