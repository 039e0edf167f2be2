/** What of the library waits by a timer, or by a turn of the loop. */
import assert from "node:assert/strict";
import * as asyncio from "contextvars/asyncio";
import { memoryStreamPair } from "contextvars/testing";

export interface User {
  /** Something that waits by a timer or by a turn of the loop. It ends by itself in a few milliseconds. */
  readonly use: () => PromiseLike<unknown>;
  /** Works on streams of the runtime, in memory or over sockets. */
  readonly streams?: "memory" | "sockets";
}

export const timerUsers: Readonly<Record<string, User>> = {
  "sleep(0)": { use: () => asyncio.sleep(0) },
  "sleep()": { use: () => asyncio.sleep(0.002) },
  "callSoon()": { use: () => new Promise<void>((resolve) => void asyncio.getRunningLoop().callSoon(resolve)) },
  "callLater()": { use: () => new Promise<void>((resolve) => void asyncio.getRunningLoop().callLater(0.002, resolve)) },
  "callAt()": {
    use: () => {
      const loop = asyncio.getRunningLoop();
      return new Promise<void>((resolve) => void loop.callAt(loop.time() + 0.002, resolve));
    },
  },
  "waitFor()": { use: () => assert.rejects(asyncio.waitFor(new asyncio.Future(), 0.002), asyncio.TimeoutError) },
  "wait()": { use: () => asyncio.wait([new asyncio.Future()], { timeout: 0.002 }) },
  "timeout()": {
    use: () =>
      assert.rejects(
        async () => await asyncio.createTask(() => asyncio.timeout(0.002).with(async () => await new asyncio.Future())),
        asyncio.TimeoutError,
      ),
  },
  "createTask()": { use: () => asyncio.createTask(() => asyncio.sleep(0)) },
  "feedData()": {
    use: async () => {
      const reader = new asyncio.StreamReader();
      const line = reader.readline();
      reader.feedData(Buffer.from("line\n"));
      assert.equal(String(await line), "line\n");
    },
  },
  "an echo in memory": { use: echoInMemory, streams: "memory" },
  "a socket with readTimeout": { use: () => silence({ readTimeout: 0.02 }), streams: "sockets" },
  "a socket with idleTimeout": { use: () => silence({ idleTimeout: 0.02 }), streams: "sockets" },
  "an echo": { use: echo, streams: "sockets" },
};

/** A read from a server that never says anything. */
async function silence(options: asyncio.OpenConnectionOptions): Promise<void> {
  await withServer(
    async (reader) => void (await reader.read()),
    options,
    async (reader) => {
      await assert.rejects(reader.read(), asyncio.TimeoutError);
    },
  );
}

async function echo(): Promise<void> {
  await withServer(
    async (reader, writer) => {
      for await (const line of reader) {
        writer.write(line);
        await writer.drain();
      }
    },
    {},
    async (reader, writer) => {
      for (let i = 0; i < 3; i++) {
        writer.write("line\n");
        assert.equal(String(await reader.readline()), "line\n");
      }
    },
  );
}

async function withServer(
  handler: asyncio.ClientConnectedCb,
  options: asyncio.OpenConnectionOptions,
  body: (reader: asyncio.StreamReader, writer: asyncio.StreamWriter) => Promise<void>,
): Promise<void> {
  const server = await asyncio.startServer(
    async (reader, writer) => {
      try {
        await handler(reader, writer);
      } finally {
        writer.close();
      }
    },
    "127.0.0.1",
    0,
  );
  const [listening] = server.sockets;
  assert.ok(listening);
  const { port } = listening.getsockname() as asyncio.SocketAddress;
  const [reader, writer] = await asyncio.openConnection("127.0.0.1", port, options);
  await body(reader, writer);
  writer.close();
  server.close();
  await server.waitClosed();
}

async function echoInMemory(): Promise<void> {
  const [[reader, writer], [otherReader, otherWriter]] = memoryStreamPair();
  writer.write("line\n");
  await writer.drain();
  assert.equal(String(await otherReader.readline()), "line\n");
  writer.close();
  otherWriter.close();
  await reader.read();
}
