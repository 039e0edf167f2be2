/**
 * asyncioTest(), testContext() and Sequencer: what a test is run in, what it may leave behind, and in which order
 * blocks run.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { asyncioTest, MockClock, memoryServer, memoryStreamPair, Sequencer, testContext } from "contextvars/testing";
import { survivors } from "../support/garbage.ts";
import { outcomeOf, turns } from "../support/peers.ts";

const never = (): Promise<true> => new asyncio.Event().wait();
const user = new ContextVar("user", { default: "nobody" });

async function messageOf(test: () => Promise<void>): Promise<string> {
  const error = await outcomeOf(test());
  assert.ok(error instanceof Error, `it has thrown ${String(error)}`);
  return `${error.name}: ${error.message}`;
}

describe("asyncioTest()", () => {
  it("asyncioTest(): runs the function as a main task, in a Context of its own, with what the runner passes on", async () => {
    let seen: unknown;
    const test = asyncioTest(async (first: string, second: number) => {
      user.set("ada");
      await asyncio.sleep(0);
      seen = [first, second, user.get(), asyncio.currentTask()?.getName() !== undefined];
    });
    assert.equal(test.length, 0);
    assert.equal(await test("given", 2), undefined);
    assert.deepEqual(seen, ["given", 2, "ada", true]);
    assert.equal(user.get(), "nobody");
  });

  it("asyncioTest(): throws what the function throws, and takes a plain function", async () => {
    const error = new Error("mine");
    const throwing = asyncioTest(() => {
      throw error;
    });
    assert.equal(await outcomeOf(throwing()), error);
    assert.equal(await outcomeOf(asyncioTest(() => Promise.reject(error))()), error);
    assert.equal(await outcomeOf(asyncioTest(() => 1)()), undefined);
  });

  const leftovers: [what: string, leave: () => unknown, message: RegExp][] = [
    [
      "a task",
      () => void asyncio.createTask(never, { name: "forgotten" }),
      /left behind: <Task pending name='forgotten'/,
    ],
    [
      "a connection in memory",
      () => void memoryStreamPair(),
      /left behind: <SocketTransport memory peer=memory>, <SocketTransport/,
    ],
    [
      "a connection and its server",
      async () => {
        const server = await asyncio.startServer(never, "127.0.0.1", 0);
        await asyncio.openConnection("127.0.0.1", server.sockets[0]?.getsockname().port as number);
      },
      /<Server sockets=\(<ServerSocket 127\.0\.0\.1:\d+>,\)>.*<SocketTransport 127\.0\.0\.1:\d+ peer=127\.0\.0\.1:\d+>/,
    ],
    [
      "a child process",
      () => asyncio.createSubprocessExec(process.execPath, ["--eval", "setTimeout(() => {}, 60_000)"]),
      /left behind: <Process \d+>/,
    ],
    ["a server in memory", () => void memoryServer(never), /<Server sockets=\(<ServerSocket memory>,\)>/],
  ];
  for (const [what, leave, message] of leftovers) {
    for (const isDebug of [false, true]) {
      it(`asyncioTest(): fails by name when the test leaves ${what} behind, ${isDebug ? "in debug mode, " : ""}and ends it`, async () => {
        const loop = asyncio.getRunningLoop();
        const before = asyncio.allTasks().size;
        loop.setDebug(isDebug);
        try {
          const test = asyncioTest(async () => {
            await leave();
            await survivors([new WeakRef({})], 5);
          });
          assert.match(await messageOf(test), message);
        } finally {
          loop.setDebug(false);
        }
        await turns(5);
        assert.equal(asyncio.allTasks().size, before);
        await asyncioTest(() => {})();
      });
    }
  }

  it("asyncioTest(): the loop's handlers are afterwards as before, even if the test fails", async () => {
    const loop = asyncio.getRunningLoop();
    const before = [loop.getExceptionHandler(), loop.slowCallbackDuration, process.listenerCount("SIGUSR2")];
    const failing = asyncioTest(() => {
      loop.setExceptionHandler(() => {});
      loop.slowCallbackDuration = 60;
      loop.addSignalHandler("SIGUSR2", () => {});
      throw new Error("mine");
    });
    assert.equal(await messageOf(failing), "Error: mine");
    assert.deepEqual([loop.getExceptionHandler(), loop.slowCallbackDuration, process.listenerCount("SIGUSR2")], before);
  });

  it("asyncioTest(): what ends a moment after the test is not left behind", async () => {
    await asyncioTest(async () => {
      const server = await asyncio.startServer(
        async (reader, writer) => {
          await reader.read();
          writer.close();
        },
        "127.0.0.1",
        0,
      );
      const [, writer] = await asyncio.openConnection("127.0.0.1", server.sockets[0]?.getsockname().port as number);
      writer.close();
      server.close();
    })();
  });

  it("asyncioTest(): the error of the test comes before what it leaves behind", async () => {
    const test = asyncioTest(() => {
      asyncio.createTask(never);
      throw new Error("mine");
    });
    assert.equal(await messageOf(test), "Error: mine");
  });

  it("asyncioTest(): after the limit of time it fails with a report of its tasks, and cancels them", async () => {
    let cancelled = 0;
    const test = asyncioTest(
      async () => {
        const waitsForever = async (): Promise<void> => {
          try {
            await never();
          } finally {
            cancelled += 1;
          }
        };
        await asyncio.gather([waitsForever, waitsForever]);
      },
      { timeout: 0.02 },
    );
    const message = await messageOf(test);
    assert.match(message, /^TimeoutError: the test did not end within 0\.02 seconds; its tasks are:\n/);
    assert.match(message, /waitsForever\(\), waits for <Event\.wait\(\)/);
    assert.equal(cancelled, 2);
    await asyncioTest(() => {})();
  });

  it("asyncioTest(): the limit of time is a real one by a MockClock as well", async () => {
    const test = asyncioTest(() => new Promise(() => {}), { timeout: 0.02, clock: new MockClock() });
    assert.match(await messageOf(test), /did not end within 0\.02 seconds(?:.|\n)*a promise that is not the library's/);
  });

  it("asyncioTest(): runs by the clock that it is given", async () => {
    const clock = new MockClock();
    await asyncioTest(() => asyncio.sleep(3600), { clock })();
    assert.equal(clock.time(), 3600);
  });

  it("asyncioTest(): tests that are started side by side run one after the other, also behind one that fails", async () => {
    const seen: string[] = [];
    const make = (name: string, clock?: MockClock): (() => Promise<void>) =>
      asyncioTest(
        async () => {
          seen.push(`${name} begins`);
          await asyncio.sleep(0.002);
          seen.push(`${name} ends`);
          assert.notEqual(name, "b");
        },
        { clock },
      );
    const outcomes = await Promise.all(
      [make("a"), make("b"), make("c", new MockClock()), make("d")].map((test) => outcomeOf(test())),
    );
    assert.deepEqual(
      seen,
      ["a", "b", "c", "d"].flatMap((name) => [`${name} begins`, `${name} ends`]),
    );
    assert.deepEqual(
      outcomes.map((outcome) => outcome === undefined),
      [true, false, true, true],
    );
  });

  it("asyncioTest(): within another one it throws, and does not wait forever", async () => {
    const inner = asyncioTest(() => {});
    assert.match(
      await messageOf(asyncioTest(() => inner())),
      /RuntimeError: a test of asyncioTest\(\) cannot be called inside a task/,
    );
  });

  for (const [name, call, message] of [
    ["no function", () => asyncioTest(1 as never), /asyncioTest\(\) needs a function/],
    ["another option", () => asyncioTest(never, { time: 1 } as never), /unexpected option 'time'/],
    ["a timeout of 0", () => asyncioTest(never, { timeout: 0 }), /timeout must be a positive number/],
    ["a clock that is none", () => asyncioTest(never, { clock: {} as never }), /clock must be a MockClock, got object/],
    ["no function, of testContext()", () => testContext().test(1 as never), /test\(\) needs a function/],
    ["no hook, of testContext()", () => testContext().setUp(1 as never), /setUp\(\) needs a function/],
    ["no last hook, of testContext()", () => testContext().tearDown(1 as never), /tearDown\(\) needs a function/],
  ] as const) {
    it(`asyncioTest(): refuses ${name} at once`, () => {
      assert.throws(call, message);
    });
  }
});

describe("testContext()", () => {
  it("testContext(): hooks and test share one Context, and each test has a new one", async () => {
    const { setUp, test, tearDown } = testContext();
    const seen: string[] = [];
    const first = setUp(async () => {
      seen.push(`before: ${user.get()}`);
      await turns(1);
      user.set("ada");
    });
    const second = setUp(() => {
      seen.push(`then: ${user.get()}`);
    });
    const body = test(async () => {
      seen.push(`test: ${user.get()}`);
      await asyncio.sleep(0);
      user.set("bob");
    });
    const after = tearDown(() => {
      seen.push(`after: ${user.get()}`);
    });
    for (let i = 0; i < 2; i++) {
      for (const each of [first, second, body, after, after]) {
        await each();
      }
    }
    const once = ["before: nobody", "then: ada", "test: ada", "after: bob", "after: bob"];
    assert.deepEqual(seen, [...once, ...once]);
    assert.equal(user.get(), "nobody");
  });

  it("testContext(): a test without hooks has a new Context as well", async () => {
    const { test } = testContext();
    const seen: string[] = [];
    const body = test((name: string) => {
      seen.push(user.get());
      user.set(name);
    });
    await body("ada");
    await body("bob");
    assert.deepEqual(seen, ["nobody", "nobody"]);
  });

  it("testContext(): after a test that failed the last hook sees its Context, and the next test a new one", async () => {
    const { setUp, test, tearDown } = testContext();
    const failing = test(() => {
      user.set("ada");
      throw new Error("mine");
    });
    let seen = "";
    assert.equal(await messageOf(failing), "Error: mine");
    await tearDown(() => {
      seen = user.get();
    })();
    assert.equal(seen, "ada");
    await setUp(() => {
      seen = user.get();
    })();
    assert.equal(seen, "nobody");
  });

  it("testContext(): the test is one of asyncioTest(): leftovers fail it, a clock may be given", async () => {
    const clock = new MockClock();
    const { test } = testContext();
    await test(() => asyncio.sleep(60), { clock })();
    assert.equal(clock.time(), 60);
    assert.match(await messageOf(test(() => void asyncio.createTask(never))), /left behind/);
  });

  it("testContext(): tests side by side are refused", async () => {
    const { setUp, test } = testContext();
    const slow = test(() => asyncio.sleep(0.002))();
    assert.match(await messageOf(test(() => {})), /RuntimeError: testContext\(\): another test is in progress/);
    assert.match(await messageOf(setUp(() => {})), /another test is in progress/);
    await slow;
    await Promise.all([testContext(), testContext()].map((each) => each.test(() => asyncio.sleep(0))()));
  });
});

describe("Sequencer", () => {
  it("Sequencer.with(): blocks of several tasks run in the order of their numbers", async () => {
    for (const order of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [2, 0, 3, 1],
    ]) {
      const sequencer = new Sequencer();
      const seen: number[] = [];
      const results = await asyncio.gather(
        order.map(
          (n) => () =>
            sequencer.with(n, async () => {
              await turns(2);
              seen.push(n);
              return n * 10;
            }),
        ),
      );
      assert.deepEqual(seen, [0, 1, 2, 3]);
      assert.deepEqual(
        results,
        order.map((n) => n * 10),
      );
    }
  });

  it("Sequencer.with(): a block that throws has ended", async () => {
    const sequencer = new Sequencer();
    const error = new Error("mine");
    const next = asyncio.createTask(() => sequencer.with(1, () => "next"));
    assert.equal(await outcomeOf(sequencer.with(0, () => Promise.reject(error))), error);
    assert.equal(await next, "next");
  });

  it("Sequencer.with(): a call that is cancelled before its turn breaks the sequence", async () => {
    const sequencer = new Sequencer();
    const [one, two] = [1, 2].map((n) => asyncio.createTask(() => sequencer.with(n, () => n)));
    await asyncio.sleep(0);
    one?.cancel();
    assert.ok(asyncio.isCancelled(await outcomeOf(one as asyncio.Task<number>)));
    for (const broken of [two as asyncio.Task<number>, sequencer.with(0, () => 0), sequencer.with(5, () => 5)]) {
      assert.match(String(await outcomeOf(broken)), /RuntimeError: Sequencer\.with\(\): the sequence is broken/);
    }
  });

  for (const [name, call, message] of [
    [
      "a number twice",
      async (sequencer: Sequencer) => {
        await sequencer.with(0, () => {});
        await sequencer.with(0, () => {});
      },
      /RuntimeError: Sequencer\.with\(\): the number 0 was already used/,
    ],
    [
      "a number below 0",
      (sequencer: Sequencer) => sequencer.with(-1, () => {}),
      /ValueError: .* n must be 0 or more, got -1/,
    ],
    [
      "half a number",
      (sequencer: Sequencer) => sequencer.with(0.5, () => {}),
      /TypeError: .* must be an integer, got 0\.5/,
    ],
    [
      "no function",
      (sequencer: Sequencer) => sequencer.with(0, 1 as never),
      /TypeError: Sequencer\.with\(\) needs a function/,
    ],
  ] as const) {
    it(`Sequencer.with(): refuses ${name}`, async () => {
      assert.match(String(await outcomeOf(call(new Sequencer()))), message);
    });
  }
});
