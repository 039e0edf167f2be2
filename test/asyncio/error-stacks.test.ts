/** The stack of every error that ends a wait leads to the functions of the program that await it. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { framed, jsonLinesCodec, lengthDelimitedCodec, linesCodec } from "contextvars/codecs";
import { memoryStreamPair } from "contextvars/testing";
import { freePort, portOf } from "../support/peers.ts";
import { limitOf } from "../support/runtime-limits.ts";

/** What the rows need: a connection, and its other end. */
interface Place {
  readonly reader: asyncio.StreamReader;
  readonly writer: asyncio.StreamWriter;
  readonly peer: Socket;
}

interface Ending {
  readonly name: string;
  readonly error: string;
  /** Waits, and sees to it that the wait ends with the error. */
  readonly wait: (place: Place) => PromiseLike<unknown>;
}

/** Calls the function when the running code waits. */
function soon(callback: () => void): void {
  setTimeout(callback, 5);
}

/** A `read()` that a peer resets; the reset is made as an error of the socket, which every runtime can. */
function lose({ writer }: Place): void {
  const error = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET", errno: -104, syscall: "read" });
  soon(() => (writer.getExtraInfo("socket") as Socket).destroy(error));
}

/** The waits of a connection in memory that its other end resets. */
function memoryResets(): Ending[] {
  const resets: Record<string, (streams: asyncio.StreamPair) => Promise<unknown>> = {
    "StreamReader.read()": ([reader]) => reader.read(),
    "StreamReader.readexactly()": ([reader]) => reader.readexactly(9),
    "StreamWriter.send()": ([, writer]) => writer.send(Buffer.alloc(16 << 20)),
    "StreamWriter.waitClosed()": ([, writer]) => writer.waitClosed(),
    "relay()": (near) => asyncio.relay(near, memoryStreamPair()[0]),
  };
  return Object.entries(resets).map(([name, wait]) => ({
    name: `${name} of a connection in memory that is reset`,
    error: "ConnectionResetError",
    wait: async () => {
      const [near, [, farWriter]] = memoryStreamPair();
      soon(() => farWriter.transport.abort());
      try {
        await wait(near);
      } finally {
        near[1].close();
      }
    },
  }));
}

const endings: readonly Ending[] = [
  {
    name: "StreamReader.readexactly() at EOF",
    error: "IncompleteReadError",
    wait: ({ reader, peer }) => {
      soon(() => peer.end("abc"));
      return reader.readexactly(9);
    },
  },
  {
    name: "StreamReader.readuntil() past the limit",
    error: "LimitOverrunError",
    wait: ({ reader, peer }) => {
      soon(() => peer.write(Buffer.alloc(100_000)));
      return reader.readuntil("x");
    },
  },
  {
    name: "StreamReader.readline() past the limit",
    error: "ValueError",
    wait: ({ reader, peer }) => {
      soon(() => peer.write(Buffer.alloc(100_000)));
      return reader.readline();
    },
  },
  {
    name: "StreamReader.read() of a connection that is reset",
    error: "ConnectionResetError",
    wait: (place) => {
      lose(place);
      return place.reader.read();
    },
  },
  {
    name: "StreamWriter.drain() of a connection that is reset",
    error: "ConnectionResetError",
    wait: (place) => {
      place.writer.write(Buffer.alloc(16 << 20));
      lose(place);
      return place.writer.drain();
    },
  },
  {
    name: "StreamWriter.waitClosed() of a connection that is reset",
    error: "ConnectionResetError",
    wait: (place) => {
      lose(place);
      return place.writer.waitClosed();
    },
  },
  {
    name: "StreamReader.readline() of a connection that was reset before",
    error: "ConnectionResetError",
    wait: async (place) => {
      lose(place);
      await asyncio.sleep(0.05);
      await place.reader.readline();
    },
  },
  {
    name: "StreamWriter.startTls() of a peer that goes away",
    error: "ConnectionResetError",
    wait: ({ writer, peer }) => {
      soon(() => peer.destroy());
      return writer.startTls(true, { serverHostname: "localhost" });
    },
  },
  ...memoryResets(),
  {
    name: "Framed.receive() at EOF, within a frame",
    error: "IncompleteReadError",
    wait: ({ reader, peer }) => {
      soon(() => peer.end("abc"));
      return framed(reader, null, lengthDelimitedCodec()).receive();
    },
  },
  {
    name: "Framed.receive() of a frame that is too long",
    error: "LimitOverrunError",
    wait: ({ reader, peer }) => {
      soon(() => peer.write("x".repeat(100)));
      return framed(reader, null, linesCodec({ maxLength: 10 })).receive();
    },
  },
  {
    name: "Framed.receive() of a length that is too large",
    error: "LimitOverrunError",
    wait: ({ reader, peer }) => {
      soon(() => peer.write("\xff\xff\xff\xff"));
      return framed(reader, null, lengthDelimitedCodec({ maxFrameLength: 10 })).receive();
    },
  },
  {
    name: "for await over a Framed, of a line that is not JSON",
    error: "ValueError",
    wait: async ({ reader, peer }) => {
      soon(() => peer.write("{\n"));
      for await (const _ of framed(reader, null, jsonLinesCodec())) {
        // None comes.
      }
    },
  },
  {
    name: "createSubprocessExec() of a program that does not exist",
    error: "FileNotFoundError",
    wait: () => asyncio.createSubprocessExec("/nowhere/at/all"),
  },
  {
    name: "openConnection() to a port without a listener",
    error: "ConnectionRefusedError",
    wait: async () => await asyncio.openConnection("127.0.0.1", await freePort()),
  },
  {
    name: "openConnection() to a host that does not exist",
    error: "gaierror",
    wait: () => asyncio.openConnection("nowhere.invalid", 1),
  },
  {
    name: "startServer() at a host that does not exist",
    error: "gaierror",
    wait: () => asyncio.startServer(() => {}, "nowhere.invalid", 0),
  },
  {
    name: "openUnixConnection() to a path that does not exist",
    error: "FileNotFoundError",
    wait: () => asyncio.openUnixConnection("/nowhere/at/all"),
  },
  {
    name: "startServer() at a port that is taken",
    error: "OSError",
    wait: async () => {
      const server = await asyncio.startServer(() => {}, "127.0.0.1", 0);
      try {
        await asyncio.startServer(() => {}, "127.0.0.1", portOf(server));
      } finally {
        server.close();
      }
    },
  },
  {
    name: "Server.serveForever() of a server that is closed",
    error: "CancelledError",
    wait: async () => {
      const server = await asyncio.startServer(() => {}, "127.0.0.1", 0);
      soon(() => server.close());
      await server.serveForever();
    },
  },
  { name: "waitFor()", error: "TimeoutError", wait: () => asyncio.waitFor(() => asyncio.sleep(60), 0.005) },
  {
    name: "Timeout.with()",
    error: "TimeoutError",
    wait: () => asyncio.timeout(0.005).with(() => asyncio.sleep(60)),
  },
  {
    name: "asCompleted()",
    error: "TimeoutError",
    wait: async () => {
      for await (const _ of asyncio.asCompleted([new asyncio.Future<void>()], { timeout: 0.005 })) {
        // None comes.
      }
    },
  },
  {
    name: "TaskGroup.with()",
    error: "ExceptionGroup",
    wait: () =>
      new asyncio.TaskGroup().with((group) => {
        group.createTask(async () => {
          throw new Error("bad");
        });
      }),
  },
  {
    name: "Queue.get() of a queue that is shut down",
    error: "QueueShutDown",
    wait: () => {
      const queue = new asyncio.Queue();
      soon(() => queue.shutdown());
      return queue.get();
    },
  },
  {
    name: "Queue.put() of a queue that is shut down",
    error: "QueueShutDown",
    wait: () => {
      const queue = new asyncio.Queue<number>(1);
      queue.putNowait(1);
      soon(() => queue.shutdown());
      return queue.put(2);
    },
  },
  {
    name: "Barrier.wait() of a barrier that is aborted",
    error: "BrokenBarrierError",
    wait: () => {
      const barrier = new asyncio.Barrier(2);
      soon(() => void barrier.abort());
      return barrier.wait();
    },
  },
  {
    name: "await of a Future that is cancelled",
    error: "CancelledError",
    wait: () => {
      const future = new asyncio.Future();
      soon(() => future.cancel());
      return future;
    },
  },
  {
    name: "await of a Future that was cancelled before",
    error: "CancelledError",
    wait: () => {
      const future = new asyncio.Future();
      future.cancel();
      return future;
    },
  },
  {
    name: "gather() of a Future that is cancelled",
    error: "CancelledError",
    wait: () => {
      const future = new asyncio.Future();
      soon(() => future.cancel());
      return asyncio.gather([future]);
    },
  },
  {
    name: "shield() of a Future that is cancelled",
    error: "CancelledError",
    wait: () => {
      const future = new asyncio.Future();
      soon(() => future.cancel());
      return asyncio.shield(future);
    },
  },
  {
    name: "a cancellation that comes before the wait",
    error: "CancelledError",
    wait: () => {
      asyncio.currentTask()?.cancel();
      return asyncio.sleep(60);
    },
  },
  {
    name: "a cancellation that comes during sleep(0)",
    error: "CancelledError",
    wait: () => {
      asyncio.currentTask()?.cancel();
      return asyncio.sleep(0);
    },
  },
];

/** What one row of the table ends with, awaited by two functions of the program. */
async function outcome({ wait }: Ending): Promise<unknown> {
  const [near, peer] = await asyncio.socketpair();
  peer.on("error", () => {});
  const [reader, writer] = await asyncio.openConnection({ sock: near });
  async function innerFunction(): Promise<void> {
    await wait({ reader, writer, peer });
  }
  async function outerFunction(): Promise<unknown> {
    try {
      await innerFunction();
    } catch (error) {
      return error;
    }
    return undefined;
  }
  try {
    return await asyncio.createTask(outerFunction);
  } finally {
    peer.destroy();
    writer.transport.abort();
  }
}

function framesOf(error: Error): string[] {
  return String(error.stack).split("\n").slice(1);
}

describe("the stack of an error that ends a wait", () => {
  for (const ending of endings) {
    it(`${ending.name}: the stack of the ${ending.error} leads to the functions that await it`, async () => {
      const error = await outcome(ending);
      assert.ok(error instanceof Error);
      assert.equal(error.name, ending.error);
      assert.ok(String(error.stack).startsWith(`${error.name}: `) || error.message === "", error.stack);
      if (limitOf("stack of an error that ends a wait") === false) {
        const [inner, outer] = ["innerFunction", "outerFunction"].map((name) =>
          framesOf(error).findIndex((frame) => frame.includes(name)),
        );
        assert.ok(inner !== undefined && inner >= 0 && outer !== undefined && outer > inner, error.stack);
      }
    });
  }

  it("an error that Node has made is the cause, with its own stack", async () => {
    const error = (await outcome(
      endings.find(({ error: name }) => name === "ConnectionRefusedError") as Ending,
    )) as asyncio.ConnectionRefusedError;
    assert.ok(error.cause instanceof Error);
    assert.equal((error.cause as NodeJS.ErrnoException).code, "ECONNREFUSED");
    assert.notEqual(error.cause.stack, error.stack);
  });

  it("an error of the program keeps the stack of the place where the program has made it", async () => {
    const own = (function makesAnError() {
      return new RangeError("own");
    })();
    const { stack } = own;
    const reader = new asyncio.StreamReader();
    const future = new asyncio.Future();
    const task = asyncio.createTask(async () => {
      throw own;
    });
    const reading = asyncio.createTask(() => reader.read());
    await asyncio.sleep(0);
    reader.setException(own);
    future.setException(own);
    for (const each of [reading, future, task]) {
      assert.equal(await each.catch((error: unknown) => error), own);
    }
    assert.equal(own.stack, stack);
  });

  it("a CancelledError whose stack cannot be read cancels the task that awaits its task, as any other does", async () => {
    const error = Object.defineProperty(new asyncio.CancelledError("enough"), "stack", {
      get: () => {
        throw new RangeError("no stack");
      },
    });
    const below = asyncio.createTask(() => {
      throw error;
    });
    const above = asyncio.createTask(async () => await below);
    await asyncio.wait([above]);
    assert.equal(above.cancelled(), true);
  });

  it("one error that ends several waits has the stack of one of them", async () => {
    const error = (await outcome({
      name: "",
      error: "",
      wait: async (place) => {
        const errors = await asyncio.gather(
          [
            () => place.reader.read(),
            async function waitsForTheClose() {
              await place.writer.waitClosed();
            },
            () => lose(place),
          ],
          { returnExceptions: true },
        );
        throw errors[1];
      },
    })) as Error;
    assert.equal(error.name, "ConnectionResetError");
    assert.ok(error.stack);
  });
});
