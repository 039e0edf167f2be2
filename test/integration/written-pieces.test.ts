/** Writes of all sizes, several in a turn, to a peer that reads in its own time: every byte arrives, in order. */
import assert from "node:assert/strict";
import { it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "../support/certificates.ts";
import { portOf } from "../support/peers.ts";
import { randomFrom } from "../support/random.ts";

const PROGRAMS = 25;
const TURNS = 30;
/** Pieces that are copied together, pieces that leave as they are, and such as fill a batch by themselves. */
const SIZES = [1, 30, 400, 600, 2_000, 5_000, 70_000]; // bytes
const { server: identity, ca } = certificates();

/** A program: what is written in each turn, and whether that turn waits for room. */
interface Turn {
  readonly sizes: readonly number[];
  readonly drains: boolean;
  readonly asLines: boolean;
}

function programOf(seed: number): Turn[] {
  const pick = randomFrom(seed);
  const largest = 1 + pick(SIZES.length);
  return Array.from({ length: TURNS }, () => ({
    sizes: Array.from({ length: pick(12) }, () => SIZES[pick(largest)] as number),
    drains: pick(3) === 0,
    asLines: pick(2) === 0,
  }));
}

/** A piece of which every byte tells its place. */
function piece(start: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) {
    bytes[i] = (start + i) % 251;
  }
  return bytes;
}

async function write(writer: asyncio.StreamWriter, program: readonly Turn[]): Promise<number> {
  let written = 0;
  for (const { sizes, drains, asLines } of program) {
    const pieces = sizes.map((size) => {
      written += size;
      return piece(written - size, size);
    });
    if (asLines) {
      writer.writelines(pieces);
    } else {
      pieces.forEach((each) => {
        writer.write(each);
      });
    }
    await (drains ? writer.drain() : asyncio.sleep(0));
  }
  writer.close();
  await writer.waitClosed();
  return written;
}

/** Reads to the end, now and then after a pause; the number of bytes, all in their places. */
async function check(reader: asyncio.StreamReader, seed: number): Promise<number> {
  const pick = randomFrom(seed);
  let seen = 0;
  for (let chunk = await reader.read(100_000); chunk.length > 0; chunk = await reader.read(100_000)) {
    assert.ok(chunk.equals(piece(seen, chunk.length)), `bytes from ${seen} on`);
    seen += chunk.length;
    if (pick(20) === 0) {
      await asyncio.sleep(0.002);
    }
  }
  return seen;
}

for (const [kind, serverSsl, clientSsl] of [
  ["TCP", undefined, undefined],
  ["TLS", identity, { ca }],
] as const) {
  it(`pieces of all sizes arrive over ${kind} as they were written`, async () => {
    for (let seed = 1; seed <= PROGRAMS; seed++) {
      const accepted = new asyncio.Future<[asyncio.StreamReader, asyncio.StreamWriter]>();
      const server = await asyncio.startServer((...streams) => accepted.setResult(streams), "127.0.0.1", 0, {
        limit: 4096,
        ssl: serverSsl,
      });
      const near = await asyncio.openConnection("127.0.0.1", portOf(server), { ssl: clientSsl });
      const ends = [near, await accepted] as const;
      // Each side writes in its turn.
      const [reader, reading] = ends[seed % 2 === 0 ? 0 : 1];
      const [, writer] = ends[seed % 2 === 0 ? 1 : 0];
      const [written, seen] = await asyncio.gather([() => write(writer, programOf(seed)), () => check(reader, seed)]);
      assert.equal(seen, written, `program ${seed}`);
      reading.close();
      await server.shutdown();
    }
  });
}
