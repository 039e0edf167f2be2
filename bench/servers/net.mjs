/** Node's own sockets, as most programs use them: 'data' in, write() out, one write for each line or frame. */
import { createServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { BLOCK, mode, ready, unknownMode } from "./control.mjs";
import { identity } from "./identity.mjs";

/** @type {Record<string, (socket: import("node:net").Socket) => void>} */
const HANDLERS = {
  // Ignores back-pressure, as the usual echo server does.
  echo: (socket) => socket.on("data", (chunk) => socket.write(chunk)),
  lines,
  up,
  down,
};

const [, kind = "", tls = ""] = /^(.*?)(-tls)?$/.exec(mode) ?? [];
const handler = HANDLERS[kind] ?? unknownMode();
/** @param {import("node:net").Socket} socket */
const accept = (socket) => {
  // Clients end by closing in the middle of it.
  socket.on("error", () => socket.destroy());
  handler(socket);
};
const server = tls
  ? createTlsServer({ noDelay: true, ...identity() }, accept)
  : createServer({ noDelay: true }, accept);
server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => ready(/** @type {any} */ (server.address()).port));

/** @param {import("node:net").Socket} socket */
function lines(socket) {
  /** @type {Buffer | null} */
  let rest = null;
  socket.on("data", (chunk) => {
    const bytes = rest === null ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
      socket.write(bytes.subarray(from, end + 1));
      from = end + 1;
    }
    rest = from < bytes.length ? bytes.subarray(from) : null;
  });
}

/** @param {import("node:net").Socket} socket */
function up(socket) {
  let total = 0;
  socket.on("data", (chunk) => {
    total += chunk.length;
  });
  socket.on("end", () => socket.end(`${total}\n`));
}

/** @param {import("node:net").Socket} socket */
function down(socket) {
  const fill = () => {
    let hasRoom = !socket.destroyed;
    while (hasRoom) {
      hasRoom = socket.write(BLOCK);
    }
  };
  socket.on("drain", fill);
  socket.resume();
  fill();
}
