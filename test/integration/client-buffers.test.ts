/** What arrives at several clients at the same time, in small reads and in large ones: each keeps its own. */
import assert from "node:assert/strict";
import { it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { portOf } from "../support/peers.ts";
import { randomFrom } from "../support/random.ts";

const CLIENTS = 12;
const ANSWERS = 40;
const SIZES = [1, 100, 5_000, 40_000, 65_536, 200_000]; // bytes

/** Bytes by which one tells whose they are, and where they belong. */
function patternOf(client: number, size: number): Buffer {
  const pattern = Buffer.alloc(size);
  for (let i = 0; i < size; i++) {
    pattern[i] = (i * 31 + Math.floor(i / 251) + client * 17) % 256;
  }
  return pattern;
}

function total(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size);
}

it("clients that read at the same time get each their own bytes, and what they keep stays as it was", async () => {
  const sizes = Array.from({ length: CLIENTS }, (_, client) => {
    const pick = randomFrom(client + 1);
    return Array.from({ length: ANSWERS }, () => SIZES[pick(SIZES.length)] as number);
  });
  const server = await asyncio.startServer(
    async (reader, writer) => {
      const client = Number(await reader.readline());
      const mine = sizes[client] as number[];
      const pattern = patternOf(client, total(mine));
      let done = 0;
      for (const size of mine) {
        writer.write(pattern.subarray(done, done + size));
        await writer.drain();
        // The others' turn; what comes next comes by itself.
        await asyncio.sleep(0.001);
        done += size;
      }
      writer.close();
    },
    "127.0.0.1",
    0,
  );
  const received = await asyncio.gather(
    sizes.map((_, client) => async () => {
      const [reader, writer] = await asyncio.openConnection("127.0.0.1", portOf(server));
      writer.write(`${client}\n`);
      const chunks: Buffer[] = [];
      for (let chunk = await reader.read(2 ** 16); chunk.length > 0; chunk = await reader.read(2 ** 16)) {
        chunks.push(chunk);
      }
      writer.close();
      await writer.waitClosed();
      return chunks;
    }),
  );
  await server.shutdown();
  for (const [client, chunks] of received.entries()) {
    const sent = patternOf(client, total(sizes[client] as number[]));
    assert.ok(Buffer.concat(chunks).equals(sent), `client ${client}: ${chunks.length} chunks`);
  }
});
