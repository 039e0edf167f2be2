/** A proxy before a server of its own, in another process: by `relay()`, or by Node's `pipeline()` both ways. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { pipeline } from "node:stream";
import * as asyncio from "contextvars/asyncio";
import { argument, mode, ready, unknownMode } from "./control.mjs";

const HOST = "127.0.0.1";

// It ends with this one, as its standard input does.
const target = spawn(process.execPath, ["bench/servers/net.mjs", argument], { stdio: ["pipe", "pipe", "inherit"] });
const [line] = await once(target.stdout, "data");
const targetPort = Number(String(line));

if (mode === "relay") {
  const server = await asyncio.startServer(relayed, HOST, 0);
  ready(/** @type {asyncio.ServerSocket} */ (server.sockets[0]).getsockname().port);
} else if (mode === "pipeline") {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, piped);
  server.listen(0, HOST, () => ready(/** @type {any} */ (server.address()).port));
} else {
  unknownMode();
}

/** @type {(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) => Promise<void>} */
async function relayed(reader, writer) {
  try {
    await asyncio.relay([reader, writer], await asyncio.openConnection(HOST, targetPort));
  } catch (error) {
    // Clients end by closing in the middle of it.
    if (!(error instanceof asyncio.ConnectionError)) {
      throw error;
    }
  }
}

/** @param {import("node:net").Socket} socket */
function piped(socket) {
  const there = connect({ host: HOST, port: targetPort, allowHalfOpen: true, noDelay: true });
  pipeline(socket, there, () => {});
  pipeline(there, socket, () => {});
}
