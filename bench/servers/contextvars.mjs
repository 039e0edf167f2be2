/** This package. Every connection has a task and a Context of its own, as with any server that it starts. */
import * as asyncio from "contextvars/asyncio";
import { framed, lengthDelimitedCodec, linesCodec } from "contextvars/codecs";
import { argument, BLOCK, mode, READ_SIZE, ready, unknownMode } from "./control.mjs";
import { identity } from "./identity.mjs";

/**
 * @typedef {asyncio.StreamReader} Reader
 * @typedef {asyncio.StreamWriter} Writer
 */

/** @type {Record<string, (reader: Reader, writer: Writer) => Promise<void>>} */
const HANDLERS = {
  echo,
  exactly,
  lines,
  "lines-needed": linesNeeded,
  "lines-iterated": linesIterated,
  "lines-taken": linesTaken,
  "lines-codec": linesCodecIterated,
  "lines-codec-taken": linesCodecTaken,
  frames,
  "frames-taken": framesTaken,
  "frames-codec": framesCodec,
  "frames-codec-taken": framesCodecTaken,
  up,
  "up-exactly": upExactly,
  "up-into": upInto,
  down,
};

const [, kind = "", tls = ""] = /^(.*?)(-tls)?$/.exec(mode) ?? [];
const handler = HANDLERS[kind] ?? unknownMode();

const server = await asyncio.startServer(
  async (reader, writer) => {
    try {
      await handler(reader, writer);
    } catch (error) {
      // Clients end by closing in the middle of it.
      if (!(error instanceof asyncio.IncompleteReadError || error instanceof asyncio.ConnectionError)) {
        throw error;
      }
    }
    writer.close();
  },
  "127.0.0.1",
  0,
  tls ? { backlog: 1024, ssl: identity() } : { backlog: 1024 },
);
ready(/** @type {asyncio.ServerSocket} */ (server.sockets[0]).getsockname().port);

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function echo(reader, writer) {
  for (let chunk = await reader.read(READ_SIZE); chunk.length > 0; chunk = await reader.read(READ_SIZE)) {
    writer.write(chunk);
    await writer.drain();
  }
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function exactly(reader, writer) {
  const size = Number(argument);
  for (;;) {
    writer.write(await reader.readexactly(size));
    await writer.drain();
  }
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function lines(reader, writer) {
  for (let line = await reader.readline(); line.length > 0; line = await reader.readline()) {
    writer.write(line);
    await writer.drain();
  }
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function linesNeeded(reader, writer) {
  for (let line = await reader.readline(); line.length > 0; line = await reader.readline()) {
    writer.write(line);
    if (writer.needsDrain) {
      await writer.drain();
    }
  }
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function linesIterated(reader, writer) {
  for await (const line of reader) {
    writer.write(line);
    if (writer.needsDrain) {
      await writer.drain();
    }
  }
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function linesTaken(reader, writer) {
  for (let line = await reader.readline(); line.length > 0; line = reader.tryReadline() ?? (await reader.readline())) {
    writer.write(line);
    if (writer.needsDrain) {
      await writer.drain();
    }
  }
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function linesCodecIterated(reader, writer) {
  const peer = framed(reader, writer, linesCodec());
  for await (const line of peer) {
    await peer.send(line);
  }
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function linesCodecTaken(reader, writer) {
  await sendBack(framed(reader, writer, linesCodec()));
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function frames(reader, writer) {
  for (;;) {
    const head = await reader.readexactly(4);
    writer.write(head);
    writer.write(await reader.readexactly(head.readUInt32BE(0)));
    if (writer.needsDrain) {
      await writer.drain();
    }
  }
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function framesTaken(reader, writer) {
  for (;;) {
    const head = reader.tryReadexactly(4) ?? (await reader.readexactly(4));
    const size = head.readUInt32BE(0);
    writer.write(head);
    writer.write(reader.tryReadexactly(size) ?? (await reader.readexactly(size)));
    if (writer.needsDrain) {
      await writer.drain();
    }
  }
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function framesCodec(reader, writer) {
  const peer = framed(reader, writer, lengthDelimitedCodec());
  for await (const frame of peer) {
    await peer.send(frame);
  }
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function framesCodecTaken(reader, writer) {
  await sendBack(framed(reader, writer, lengthDelimitedCodec()));
}

/**
 * Every frame that has arrived, without a promise for each.
 *
 * @template T
 * @param {import("contextvars/codecs").Framed<T>} peer
 */
async function sendBack(peer) {
  /** @param {T | null} first */
  function* arrived(first) {
    for (let frame = first; frame !== null; frame = peer.tryReceive()) {
      yield frame;
    }
  }
  for (let frame = await peer.receive(); frame !== null; frame = await peer.receive()) {
    await peer.sendAll(arrived(frame));
  }
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function up(reader, writer) {
  let total = 0;
  for (let chunk = await reader.read(BLOCK.length); chunk.length > 0; chunk = await reader.read(BLOCK.length)) {
    total += chunk.length;
  }
  await writer.send(`${total}\n`);
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function upExactly(reader, writer) {
  let total = 0;
  try {
    for (;;) {
      total += (await reader.readexactly(BLOCK.length)).length;
    }
  } catch (error) {
    if (!(error instanceof asyncio.IncompleteReadError)) {
      throw error;
    }
    await writer.send(`${total + error.partial.length}\n`);
  }
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function upInto(reader, writer) {
  const target = Buffer.alloc(BLOCK.length);
  let total = 0;
  for (let count = await reader.readInto(target); count > 0; count = await reader.readInto(target)) {
    total += count;
  }
  await writer.send(`${total}\n`);
}

/** @type {(reader: Reader, writer: Writer) => Promise<void>} */
async function down(_reader, writer) {
  for (;;) {
    writer.write(BLOCK);
    await writer.drain();
  }
}
