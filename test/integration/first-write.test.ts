/**
 * What is written as soon as a connection is there arrives, before what is written later: also beside connections that
 * their clients reset, so that descriptors are used again.
 */
import assert from "node:assert/strict";
import net from "node:net";
import { it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { portOf } from "../support/peers.ts";

const AT_A_TIME = 100;
const ROUNDS = 20;

/** Connects, writes, and resets, with nothing of this library. */
function resetOne(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: "127.0.0.1", port });
    socket.on("connect", () => {
      socket.write("reset");
      setTimeout(() => socket.resetAndDestroy(), 1);
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve());
  });
}

/** What the client has of the server: the server's first write, then all that the server has of the client. */
async function exchange(port: number, name: string): Promise<string> {
  const [reader, writer] = await asyncio.openConnection("127.0.0.1", port);
  writer.write(`first ${name}, `);
  await asyncio.sleep(0.001);
  writer.write("then the rest");
  writer.writeEof();
  const answer = await reader.read();
  writer.close();
  await writer.waitClosed();
  return String(answer);
}

it("openConnection(), startServer() lose no first write beside connections that are reset", async (t) => {
  const server = await asyncio.startServer(
    async (reader, writer) => {
      try {
        writer.write("server, ");
        writer.write(await reader.read());
        writer.close();
        await writer.waitClosed();
      } catch (error) {
        // Of a client that has reset its connection: one that has not finds its answer cut.
        assert.ok(error instanceof asyncio.ConnectionError, String(error));
      }
    },
    "127.0.0.1",
    0,
    // A full queue of connections makes the kernel drop them, and clients wait for seconds or are reset after a minute.
    { backlog: 4 * AT_A_TIME },
  );
  t.after(() => server.close());
  const port = portOf(server);
  const client = async (number: number): Promise<void> => {
    for (let round = 0; round < ROUNDS; round++) {
      const name = `${number}.${round}`;
      const [answer] = await Promise.all([exchange(port, name), resetOne(port)]);
      assert.equal(answer, `server, first ${name}, then the rest`);
    }
  };
  await asyncio.gather(Array.from({ length: AT_A_TIME }, (_, number) => () => client(number)));
  server.close();
  await server.waitClosed();
});
