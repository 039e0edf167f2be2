/** Node's own sockets by hand, as fast as it goes: what a chunk holds is parsed at once and answered with one writev. */
import { createServer } from "node:net";
import { mode, ready, unknownMode } from "./control.mjs";

/** Where the next whole line or frame ends, or -1. @type {Record<string, (bytes: Buffer, from: number) => number>} */
const ENDS = {
  lines: (bytes, from) => bytes.indexOf(10, from) + 1 || -1,
  frames: (bytes, from) => {
    const end = bytes.length - from < 4 ? Number.POSITIVE_INFINITY : from + 4 + bytes.readUInt32BE(from);
    return end <= bytes.length ? end : -1;
  },
};

const isText = mode === "text";
const endOf = ENDS[isText ? "lines" : mode] ?? unknownMode();
const HEAD = mode === "frames" ? 4 : 0; // bytes, written by themselves

const server = createServer({ noDelay: true }, (socket) => {
  /** @type {Buffer | null} */
  let rest = null;
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    const bytes = rest === null ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    socket.cork();
    for (let end = endOf(bytes, from); end !== -1; end = endOf(bytes, from)) {
      if (HEAD > 0) {
        socket.write(bytes.subarray(from, from + HEAD));
      }
      // Lines of text become strings, as a program that looks at them needs.
      socket.write(isText ? `${bytes.toString("utf8", from, end - 1)}\n` : bytes.subarray(from + HEAD, end));
      from = end;
    }
    socket.uncork();
    rest = from < bytes.length ? bytes.subarray(from) : null;
  });
});
server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => ready(/** @type {any} */ (server.address()).port));
