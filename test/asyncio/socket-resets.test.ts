/**
 * A peer that resets the connection right behind data: the data is read, and then the error, never an EOF. A peer that
 * ends it without a word of TLS: the data is read, and then the EOF, never an error.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import * as path from "node:path";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "../support/certificates.ts";
import { eventually, outcomeOf, portOf, type Role, roles, turns } from "../support/peers.ts";
import { runtime } from "../support/runtime.ts";
import { limitOf } from "../support/runtime-limits.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";
import { tlsPeer } from "../support/wire-tls.ts";

const wires = ["TCP connection", "TLS connection", "Unix socket", "TLS connection over a Unix socket"] as const;
type Wire = (typeof wires)[number];
type Streams = [asyncio.StreamReader, asyncio.StreamWriter];

const isNode = runtime.startsWith("node");
const HOST = "127.0.0.1";
const LIMIT = 4 * 1024; // bytes
/** More than a socket of Node's reads ahead, less than the system's buffer takes. */
const UNREAD = 180 * 1024; // bytes
const { ca, server: identity } = certificates();

const isUnix = (wire: Wire): boolean => wire.includes("Unix socket");
const isTls = (wire: Wire): boolean => wire.includes("TLS");

/** Connects a reader and a writer with a socket of Node's. */
async function connected(wire: Wire, role: Role, folder: string): Promise<[...Streams, plain: net.Socket]> {
  const file = path.join(folder, "s");
  if (role === "client") {
    const listener = net.createServer({ allowHalfOpen: true });
    listener.listen(isUnix(wire) ? { path: file } : { port: 0, host: HOST });
    await once(listener, "listening");
    const accepted = once(listener, "connection") as Promise<[net.Socket]>;
    const [reader, writer] = await (isUnix(wire)
      ? asyncio.openUnixConnection(file, { limit: LIMIT })
      : asyncio.openConnection(HOST, portOf(listener), { limit: LIMIT }));
    const [plain] = await accepted;
    listener.close();
    return [reader, writer, plain];
  }
  const streams: Streams[] = [];
  const handler = async (...given: Streams): Promise<void> => {
    streams.push(given);
  };
  const server = await (isUnix(wire)
    ? asyncio.startUnixServer(handler, file, { limit: LIMIT })
    : asyncio.startServer(handler, HOST, 0, { limit: LIMIT }));
  const plain = net.connect(isUnix(wire) ? { path: file } : { port: portOf(server), host: HOST });
  await once(plain, "connect");
  while (streams.length === 0) {
    await turns(1);
  }
  server.close();
  return [...(streams[0] as Streams), plain];
}

/** Puts TLS on both ends, and gives the peer's. */
async function secured(role: Role, writer: asyncio.StreamWriter, plain: net.Socket): Promise<net.Socket> {
  const isClient = role === "client";
  const { tls } = tlsPeer(plain, isClient ? "server" : "client", isClient ? identity : { ca });
  await Promise.all([
    writer.startTls(isClient ? { ca } : { ...identity }, isClient ? { serverHostname: "localhost" } : {}),
    once(tls, isClient ? "secure" : "secureConnect"),
  ]);
  return tls;
}

/** What is read until the end, and the error at the end. */
async function readAll(reader: asyncio.StreamReader): Promise<[data: string, error: unknown]> {
  const chunks: Buffer[] = [];
  try {
    for (let chunk = await reader.read(LIMIT); chunk.length > 0; chunk = await reader.read(LIMIT)) {
      chunks.push(chunk);
    }
  } catch (error) {
    return [String(Buffer.concat(chunks)), error];
  }
  return [String(Buffer.concat(chunks)), null];
}

/** Why this runtime cannot tell the two apart. */
function limitOfWire(wire: Wire): string | false {
  return (
    (isTls(wire) && limitOf("reset under TLS")) ||
    (isTls(wire) && isUnix(wire) && limitOf("reset under TLS over a Unix socket"))
  );
}

for (const wire of wires) {
  for (const role of roles) {
    describe(`An end behind data over a ${wire}, read by a ${role}`, () => {
      for (const [how, size] of [
        ["", 20],
        [" behind back-pressure", isUnix(wire) ? UNREAD : 8 * LIMIT],
      ] as const) {
        it(`StreamReader gives the data, then the EOF${how}`, async () => {
          using folder = new TemporaryFolder();
          const [reader, writer, plain] = await connected(wire, role, folder.path);
          const peer = isTls(wire) ? await secured(role, writer, plain) : plain;
          peer.on("error", () => {}).resume();
          const reading = size < LIMIT ? readAll(reader) : null;
          peer.write("x".repeat(size), () => plain.end());
          assert.ok(await eventually(() => plain.writableFinished));
          await turns(5);
          const [data, error] = await (reading ?? readAll(reader));
          assert.deepEqual([data.length, error], [size, null]);
          plain.destroy();
          writer.close();
          await outcomeOf(writer.waitClosed());
        });
      }
    });

    describe(`A reset behind data over a ${wire}, read by a ${role}`, () => {
      for (const [how, size] of [
        ["", 20],
        [" behind back-pressure", isUnix(wire) ? UNREAD : 8 * LIMIT],
      ] as const) {
        const options = { skip: limitOfWire(wire) };
        it(`StreamReader gives the data, then throws a ConnectionResetError${how}`, options, async () => {
          using folder = new TemporaryFolder();
          const [reader, writer, plain] = await connected(wire, role, folder.path);
          const peer = isTls(wire) ? await secured(role, writer, plain) : plain;
          peer.on("error", () => {});
          // The peer of a Unix socket has no other way to reset it than to leave some of this unread.
          peer.pause();
          writer.write("x".repeat(isUnix(wire) ? UNREAD : 1));
          assert.ok(await eventually(() => writer.transport.getWriteBufferSize() === 0));
          const reading = size < LIMIT ? readAll(reader) : null;
          const reset = (): void => void (isUnix(wire) ? plain.destroy() : plain.resetAndDestroy());
          // On Node both leave in this tick, and are there when the system is asked next.
          peer.write("x".repeat(size), isNode ? undefined : reset);
          if (isNode) {
            reset();
          }
          await once(plain, "close");
          await turns(5);
          const [data, error] = await (reading ?? readAll(reader));
          assert.equal(data.length, size);
          assert.ok(error instanceof asyncio.ConnectionResetError, String(error));
          assert.ok((await outcomeOf(writer.waitClosed())) instanceof asyncio.ConnectionResetError);
        });
      }
    });
  }
}
