/** MockClock: what it jumps to, what holds it, and what it refuses. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { type MemoryServer, MockClock, memoryServer, memoryStreamPair, waitAllTasksBlocked } from "contextvars/testing";
import { certificates } from "../support/certificates.ts";
import { outcomeOf, turns } from "../support/peers.ts";

const loop = asyncio.getRunningLoop();
const never = (): Promise<true> => new asyncio.Event().wait();

/** Runs it on a clock that stops forever while a wait depends on the outside; returns the time at the end. */
async function timeOf(main: () => Promise<unknown>, autojumpThreshold = Number.POSITIVE_INFINITY): Promise<number> {
  const clock = new MockClock({ autojumpThreshold });
  await clock.with(() => asyncio.run(main));
  return clock.time();
}

function settledBy(schedule: (callback: () => void) => void): asyncio.Future<void> {
  const future = new asyncio.Future<void>();
  schedule(() => future.setResult());
  return future;
}

describe("connections in memory", () => {
  it("MockClock: an hour of heartbeats over ten connections is not held by them", async () => {
    let beats = 0;
    const client = async (server: MemoryServer): Promise<void> => {
      const [reader, writer] = await server.connect();
      for (let i = 0; i < 120; i++) {
        await writer.send("beat\n");
        await asyncio.timeout(10).with(() => reader.readline());
        beats += 1;
        await asyncio.sleep(30);
      }
      writer.close();
    };
    const ended = await timeOf(async () => {
      const server = memoryServer(
        async (reader, writer) => {
          for await (const line of reader) {
            await writer.send(line);
          }
        },
        { idleTimeout: 60 },
      );
      await asyncio.gather(Array.from({ length: 10 }, () => () => client(server)));
      await server.shutdown();
    });
    assert.deepEqual([beats, ended], [1200, 3600]);
  });
});

describe("every timer of the library goes by the clock", () => {
  const timers: Record<string, () => Promise<unknown>> = {
    "sleep()": () => asyncio.sleep(1000),
    "timeout()": () => asyncio.timeout(1000).with(never),
    "timeoutAt()": () => asyncio.timeoutAt(loop.time() + 1000).with(never),
    "waitFor()": () => asyncio.waitFor(never, 1000),
    "wait()": () => asyncio.wait([asyncio.createTask(never)], { timeout: 1000 }),
    "asCompleted()": async () => {
      for (const next of asyncio.asCompleted([never], { timeout: 1000 })) {
        await next;
      }
    },
    "loop.callLater()": () => new Promise((resolve) => loop.callLater(1000, () => resolve(null))),
    "loop.callAt()": () => new Promise((resolve) => loop.callAt(loop.time() + 1000, () => resolve(null))),
    "readTimeout of memoryServer()": async () => {
      const server = memoryServer((reader) => outcomeOf(reader.read()), { readTimeout: 1000 });
      const [, writer] = await server.connect();
      await server.shutdown({ grace: 2000 });
      writer.close();
    },
    "idleTimeout of memoryServer()": async () => {
      const server = memoryServer((reader) => outcomeOf(reader.read()), { idleTimeout: 1000 });
      const [reader] = await server.connect();
      await outcomeOf(reader.read());
      await server.shutdown();
    },
    "grace of Server.shutdown()": async () => {
      const server = memoryServer(never);
      await server.connect();
      await server.shutdown({ grace: 1000 });
    },
    "delay of memoryStreamPair()": async () => {
      const [[reader], [, writer]] = memoryStreamPair({ delay: 1000 });
      writer.write("line\n");
      await reader.readline();
      writer.transport.abort();
    },
  };
  for (const [name, main] of Object.entries(timers)) {
    it(`MockClock: ${name} of 1000 seconds ends at 1000, with nothing else to wait for`, async () => {
      const threshold = name.startsWith("loop.") ? 0 : Number.POSITIVE_INFINITY;
      assert.equal(await timeOf(() => outcomeOf(main()), threshold), 1000);
    });
  }

  it("MockClock: sslHandshakeTimeout ends a handshake without an answer", async () => {
    const handshake = async (): Promise<void> => {
      const [[, near], [, far]] = memoryStreamPair();
      const tls = { serverHostname: "", sslHandshakeTimeout: 1000 };
      assert.ok(
        (await outcomeOf(near.startTls({ ca: certificates().ca }, tls))) instanceof asyncio.ConnectionAbortedError,
      );
      far.close();
    };
    assert.equal(await timeOf(handshake, 0.05), 1000);
  });
});

describe("what only the library can end does not hold the clock", () => {
  const task = (body: () => Promise<unknown>): asyncio.Task<unknown> => asyncio.createTask(body);
  const waits: Record<string, () => unknown> = {
    sleep: () => asyncio.sleep(5000),
    "Future, by await": async () => await new asyncio.Future(),
    "Task, by await": async () => await task(never),
    "Event.wait": never,
    "Lock.acquire": async () => {
      const lock = new asyncio.Lock();
      await lock.acquire();
      await lock.acquire();
    },
    "Semaphore.acquire": () => new asyncio.Semaphore(0).acquire(),
    "Condition.wait": () => {
      const condition = new asyncio.Condition();
      return condition.with(() => condition.wait());
    },
    "Barrier.wait": () => new asyncio.Barrier(2).wait(),
    "Queue.get": () => new asyncio.Queue().get(),
    "Queue.join": () => {
      const queue = new asyncio.Queue();
      queue.putNowait(1);
      return queue.join();
    },
    gather: () => asyncio.gather([never, never]),
    wait: () => asyncio.wait([task(never)]),
    waitFor: () => asyncio.waitFor(never, 5000),
    shield: async () => await asyncio.shield(task(never)),
    TaskGroup: () => new asyncio.TaskGroup().with((group) => void group.createTask(never)),
    "StreamReader.read, fed by hand": () => new asyncio.StreamReader().read(),
    "StreamReader.read, in memory": async () => {
      const [[reader], far] = memoryStreamPair();
      await reader.read();
      far[1].close();
    },
    "StreamWriter.drain, in memory": async () => {
      const [[, writer], far] = memoryStreamPair();
      await writer.send(Buffer.alloc(2 ** 20));
      far[1].close();
    },
    "StreamWriter.waitClosed, in memory": async () => {
      const [[, writer], far] = memoryStreamPair();
      await writer.waitClosed();
      far[1].close();
    },
    "Server.serveForever": () => memoryServer(never).serveForever(),
    "Server.waitClosed, in memory": async () => {
      const server = memoryServer(never);
      await server.connect();
      server.close();
      await server.waitClosed();
    },
  };
  for (const [name, wait] of Object.entries(waits)) {
    it(`MockClock: jumps while a task waits in ${name}`, async () => {
      const main = async (): Promise<void> => {
        const waiting = task(async () => await wait());
        await asyncio.sleep(1000);
        assert.equal(waiting.done(), false);
      };
      assert.equal(await timeOf(main), 1000);
    });
  }
});

describe("what comes from outside holds the clock", () => {
  const file = (): Promise<Buffer> => readFile(new URL(import.meta.url));
  async function overTcp(
    handler: asyncio.ClientConnectedCb,
    body: (reader: asyncio.StreamReader, writer: asyncio.StreamWriter) => Promise<unknown>,
  ): Promise<void> {
    const server = await asyncio.startServer(handler, "127.0.0.1", 0);
    const [reader, writer] = await asyncio.openConnection("127.0.0.1", server.sockets[0]?.getsockname().port as number);
    await body(reader, writer);
    writer.close();
    server.close();
    await server.waitClosed();
  }
  const answer = async (reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> => {
    writer.write(await reader.readline());
    writer.close();
  };
  const waits: Record<string, () => Promise<unknown>> = {
    "a file": file,
    "a promise of Node's": turns.bind(null, 20),
    "ensureFuture() of a promise": async () => await asyncio.ensureFuture(file()),
    "gather() with a promise": () => asyncio.gather([file(), () => asyncio.sleep(0)]),
    "wait() with the Future of a promise": () => asyncio.wait([asyncio.ensureFuture(file())]),
    "waitFor() of a promise": () => asyncio.waitFor(file(), 5000),
    "shield() of a promise": async () => await asyncio.shield(file()),
    "a name look-up": () => loop.getaddrinfo("localhost", 80),
    "a socket's read": () =>
      overTcp(answer, async (reader, writer) => {
        writer.write("x\n");
        await reader.read();
      }),
    "a socket's end": () =>
      overTcp(answer, async (_, writer) => {
        writer.write("x\n");
        writer.close();
        await writer.waitClosed();
      }),
    "shutdown() of a server with sockets": async () => {
      const server = await asyncio.startServer(answer, "127.0.0.1", 0);
      const port = server.sockets[0]?.getsockname().port as number;
      const [reader, writer] = await asyncio.openConnection("127.0.0.1", port);
      writer.write("x\n");
      writer.close();
      await reader.read();
      const outcomes = await server.shutdown({ grace: 5000 });
      assert.ok(outcomes.every(({ outcome }) => outcome === "finished"));
    },
  };
  for (const [name, wait] of Object.entries(waits)) {
    it(`MockClock: does not jump while a task waits for ${name}`, async () => {
      const main = async (): Promise<void> => {
        const sleeping = asyncio.createTask(() => asyncio.sleep(1000));
        await wait();
        assert.equal(loop.time(), 0);
        sleeping.cancel();
      };
      assert.equal(await timeOf(main), 0);
    });
  }

  it("autojumpThreshold: after this long without an event, the clock jumps even if a task waits for a socket", async () => {
    const main = async (): Promise<void> => {
      const silent = async (_: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> => {
        await asyncio.sleep(5);
        writer.write("answer\n");
        writer.close();
      };
      await overTcp(silent, async (reader) => {
        assert.equal(String(await asyncio.timeout(10).with(() => reader.readline())), "answer\n");
        assert.equal(loop.time(), 5);
      });
    };
    assert.equal(await timeOf(main, 0.02), 5);
  });
});

describe("MockClock", () => {
  it("MockClock: timers become ready in the order of their moments, also those of one moment", async () => {
    const seen: string[] = [];
    const log = (what: string): void => void seen.push(`${loop.time()} ${what}`);
    // However long the file takes, the clock waits for it.
    await new MockClock({ autojumpThreshold: Number.POSITIVE_INFINITY }).with(() =>
      asyncio.run(async () => {
        await asyncio.gather([
          async () => {
            for (const name of ["a0", "a1", "a2"]) {
              await asyncio.sleep(1000);
              log(name);
            }
          },
          async () => {
            await assert.rejects(asyncio.timeout(1500).with(never), asyncio.TimeoutError);
            log("timeout");
          },
          async () => {
            await asyncio.sleep(2000);
            log("b");
          },
          async () => {
            await readFile(new URL(import.meta.url));
            log("file");
          },
        ]);
      }),
    );
    assert.deepEqual(seen, ["0 file", "1000 a0", "1500 timeout", "2000 b", "2000 a1", "3000 a2"]);
  });

  const endless: Readonly<Record<string, () => PromiseLike<unknown>>> = {
    "sleep()": () => asyncio.sleep(Number.POSITIVE_INFINITY),
    "timeout()": () => asyncio.timeout(Number.POSITIVE_INFINITY).with(never),
    "timeoutAt()": () => asyncio.timeoutAt(Number.POSITIVE_INFINITY).with(never),
    "waitFor()": () => asyncio.waitFor(never, Number.POSITIVE_INFINITY),
    "wait()": () => asyncio.wait([new asyncio.Future()], { timeout: Number.POSITIVE_INFINITY }),
    "asCompleted()": () => asyncio.asCompleted([new asyncio.Future()], { timeout: Number.POSITIVE_INFINITY }).next(),
    "callLater()": () => settledBy((callback) => loop.callLater(Number.POSITIVE_INFINITY, callback)),
    "callAt()": () => settledBy((callback) => loop.callAt(Number.POSITIVE_INFINITY, callback)),
  };
  for (const [name, wait] of Object.entries(endless)) {
    it(`MockClock: a moment that never comes is none to jump to, that of ${name}`, async () => {
      const main = async (): Promise<void> => {
        const task = asyncio.createTask(wait);
        await asyncio.sleep(5);
        // Nothing else is left, and the clock does not wait for what is outside.
        await readFile(new URL(import.meta.url));
        await waitAllTasksBlocked({ cushion: 0.02 });
        assert.equal(loop.time(), 5);
        assert.equal(task.done(), false);
        await asyncio.sleep(1);
      };
      assert.equal(await timeOf(main, 0), 6);
    });
  }

  it("MockClock.time(): is loop.time() and just the moment of the timer, at fractions of a second too", async () => {
    const clock = new MockClock();
    await clock.with(() =>
      asyncio.run(async () => {
        for (let i = 1; i < 200; i++) {
          const when = loop.time() + i / 7;
          await asyncio
            .timeoutAt(when)
            .with(never)
            .catch(() => {});
          assert.equal(loop.time(), when);
          assert.equal(clock.time(), when);
        }
      }),
    );
  });

  it("MockClock.with(): returns what the function returns, and restores the real clock; its own time continues later", async () => {
    const clock = new MockClock();
    const before = loop.time();
    assert.equal(await clock.with(() => asyncio.run(() => asyncio.sleep(10, "slept"))), "slept");
    assert.ok(loop.time() >= before);
    await clock.with(() => asyncio.run(() => asyncio.sleep(10)));
    assert.equal(clock.time(), 20);
    await asyncio.sleep(0.001);
  });

  it("MockClock.with(): throws what the function throws, and gives the real clock back", async () => {
    const error = new Error("mine");
    const clock = new MockClock();
    assert.equal(await outcomeOf(clock.with(() => asyncio.run(() => Promise.reject(error)))), error);
    await asyncio.sleep(0.001);
  });

  it("MockClock.with(): even outside a Runner, it jumps in the end", async () => {
    const clock = new MockClock({ autojumpThreshold: 0.001 });
    await clock.with(() => asyncio.sleep(1000));
    assert.equal(clock.time(), 1000);
  });

  it("MockClock.with(): callbacks that are left never run", async () => {
    const clock = new MockClock();
    let called = false;
    await clock.with(() => void loop.callLater(0.001, () => (called = true)));
    await asyncio.sleep(0.01);
    assert.equal(called, false);
  });

  it("MockClock.jump(): rings all that is due, in its order, without a jump by itself", async () => {
    const clock = new MockClock({ autojumpThreshold: null });
    const seen: string[] = [];
    await clock.with(() =>
      asyncio.run(async () => {
        const sleeper = asyncio.createTask(async () => {
          for (const delay of [3, 3, 3]) {
            await asyncio.sleep(delay);
            seen.push(`slept ${clock.time()}`);
          }
        });
        loop.callLater(2, () => seen.push(`called ${clock.time()}`));
        await waitAllTasksBlocked();
        clock.jump(1);
        await waitAllTasksBlocked();
        assert.deepEqual(seen, []);
        clock.jump(6);
        await waitAllTasksBlocked();
        assert.deepEqual(seen, ["called 7", "slept 7"]);
        clock.jump(3);
        await waitAllTasksBlocked();
        clock.jump(3);
        await sleeper;
      }),
    );
    assert.deepEqual(seen, ["called 7", "slept 7", "slept 10", "slept 13"]);
  });

  const refused: [string, () => unknown, new (...given: never[]) => Error, RegExp][] = [
    [
      "another clock inside",
      () => new MockClock().with(() => new MockClock().with(() => 1)),
      asyncio.RuntimeError,
      /a clock is already active/,
    ],
    [
      "a Runner around",
      () => asyncio.run(() => new MockClock().with(() => 1)),
      asyncio.RuntimeError,
      /a Runner already runs by the real clock/,
    ],
    [
      "a timer that waits already",
      async () => {
        const handle = loop.callLater(1000, () => {});
        try {
          await new MockClock().with(() => 1);
        } finally {
          handle.cancel();
        }
      },
      asyncio.RuntimeError,
      /timers already wait by the real clock/,
    ],
    [
      "a sleep that is left",
      () =>
        new MockClock().with(async () => {
          asyncio.createTask(() => asyncio.sleep(1000), { name: "sleeper" });
          await asyncio.sleep(0);
        }),
      asyncio.RuntimeError,
      /ended while a sleep\(\) waits, which now never ends: <Task pending name='sleeper'/,
    ],
    ["no function", () => new MockClock().with(1 as never), TypeError, /MockClock\.with\(\) needs a function/],
    [
      "jump(-1)",
      () => new MockClock().jump(-1),
      asyncio.ValueError,
      /seconds must be a finite number of seconds, 0 or more, got -1/,
    ],
    ["jump(NaN)", () => new MockClock().jump(Number.NaN), asyncio.ValueError, /NaN/],
    ["jump(Infinity)", () => new MockClock().jump(Number.POSITIVE_INFINITY), asyncio.ValueError, /Infinity/],
    ["jump('1')", () => new MockClock().jump("1" as never), TypeError, /number of seconds/],
    [
      "a threshold below 0",
      () => new MockClock({ autojumpThreshold: -1 }),
      asyncio.ValueError,
      /autojumpThreshold must be/,
    ],
    ["another option", () => new MockClock({ rate: 1 } as never), TypeError, /unexpected option 'rate'/],
  ];
  for (const [name, use, error, message] of refused) {
    it(`MockClock: rejects ${name}, and the real clock continues`, async () => {
      const given = await outcomeOf((async () => await use())());
      assert.ok(given instanceof error, String(given));
      assert.match(given.message, message);
      await asyncio.sleep(0.001);
    });
  }
});

describe("waitAllTasksBlocked()", () => {
  it("waitAllTasksBlocked(): returns when all tasks have come to where they wait", async () => {
    let steps = 0;
    const task = asyncio.createTask(async () => {
      for (; steps < 100; steps++) {
        await asyncio.sleep(0);
      }
      await never();
    });
    await waitAllTasksBlocked();
    assert.equal(steps, 100);
    task.cancel();
  });

  it("waitAllTasksBlocked(): a clock does not jump before it has returned", async () => {
    const main = async (): Promise<void> => {
      const sleeping = asyncio.createTask(() => asyncio.sleep(5));
      for (let i = 0; i < 10; i++) {
        await waitAllTasksBlocked();
        assert.equal(loop.time(), 0);
      }
      await waitAllTasksBlocked({ cushion: 0.01 });
      assert.equal(loop.time(), 0);
      await sleeping;
    };
    assert.equal(await timeOf(main), 5);
  });

  it("waitAllTasksBlocked(): with a cushion, waits for what a socket brings meanwhile", async () => {
    const [near, far] = await asyncio.socketpair();
    const [reader, writer] = await asyncio.openConnection({ sock: near });
    const reading = asyncio.createTask(() => reader.readline());
    far.write("line\n");
    await waitAllTasksBlocked({ cushion: 0.05 });
    assert.equal(reading.done(), true);
    writer.close();
    far.destroy();
  });

  it("waitAllTasksBlocked(): several may wait, and a cancelled one lets the clock go on", async () => {
    const main = async (): Promise<void> => {
      const sleeping = asyncio.createTask(() => asyncio.sleep(5));
      const cancelled = asyncio.createTask(() => waitAllTasksBlocked({ cushion: 1000 }));
      await asyncio.gather([() => waitAllTasksBlocked(), () => waitAllTasksBlocked()]);
      cancelled.cancel();
      await sleeping;
      assert.equal(cancelled.cancelled(), true);
    };
    assert.equal(await timeOf(main), 5);
  });

  for (const cushion of [-1, Number.NaN, Number.POSITIVE_INFINITY, "1"]) {
    it(`waitAllTasksBlocked(): refuses a cushion of ${cushion}`, async () => {
      const error = await outcomeOf(waitAllTasksBlocked({ cushion: cushion as number }));
      assert.ok(error instanceof asyncio.ValueError || error instanceof TypeError);
      assert.match(error.message, /cushion must be/);
    });
  }
});
