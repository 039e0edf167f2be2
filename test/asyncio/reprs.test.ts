/**
 * What everything prints as: CPython's text, without addresses, places in files and local scopes.
 *
 * Where CPython writes `None`, a Future shows the value of JavaScript: `undefined`, `null`.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { Context, ContextVar, copyContext } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { shown } from "../support/outcomes.ts";

const loop = asyncio.getRunningLoop();

/** Compares the text, whichever way it is asked for. */
function assertPrints(value: unknown, expected: string): void {
  const inside = inspect({ value }, { breakLength: Number.POSITIVE_INFINITY });
  const texts = [String(value), `${value}`, inspect(value), inside].map((text) =>
    shown(text).replace(/\d+\.\d s left/, "N s left"),
  );
  assert.deepEqual(texts, [expected, expected, expected, `{ value: ${expected} }`]);
}

/** Starts a task that is the last one to be printed, and lets it run to its first wait. */
async function started<T>(
  body: () => PromiseLike<T> | T,
  name = "starter",
): Promise<{ task: asyncio.Task<Awaited<T>> }> {
  const task = asyncio.createTask(body, { name });
  await asyncio.sleep(0);
  return { task };
}

/** Cancels the task, and waits for its end. */
async function ended(task: asyncio.Task<unknown>): Promise<void> {
  task.cancel();
  await asyncio.wait([task]);
}

async function work(): Promise<void> {
  await asyncio.sleep(60);
}

describe("String(Future)", () => {
  const future = <T>(): asyncio.Future<T> => new asyncio.Future<T>();

  it("String(Future) shows that it is pending", () => {
    assertPrints(future(), "<Future pending>");
    assertPrints(loop.createFuture(), "<Future pending>");
  });

  it("String(Future) shows the callbacks: two by name, of more the first and the last", () => {
    const pending = future();
    function first(): void {}
    function second(): void {}
    pending.addDoneCallback(first);
    assertPrints(pending, "<Future pending cb=[first()]>");
    pending.addDoneCallback(second);
    assertPrints(pending, "<Future pending cb=[first(), second()]>");
    pending.addDoneCallback(second);
    assertPrints(pending, "<Future pending cb=[first(), <1 more>, second()]>");
    pending.addDoneCallback(first);
    assertPrints(pending, "<Future pending cb=[first(), <2 more>, first()]>");
    pending.removeDoneCallback(first);
    assertPrints(pending, "<Future pending cb=[second(), second()]>");
    pending.removeDoneCallback(second);
    assertPrints(pending, "<Future pending>");
  });

  it("String(Future) shows that a task waits for it", async () => {
    const pending = future();
    const { task } = await started(async () => {
      await pending;
    });
    assertPrints(pending, "<Future pending cb=[Task.task_wakeup()]>");
    pending.setResult(1);
    assertPrints(pending, "<Future finished result=1>");
    await task;
  });

  it("String(Future) shows the result, and of a long one the beginning and the end", () => {
    const rows: [result: unknown, expected: string][] = [
      [42, "42"],
      [undefined, "undefined"],
      [null, "null"],
      ["text", "'text'"],
      ["x".repeat(100), "'xxxxxxxxxxxx...xxxxxxxxxxxxx'"],
      [Array.from({ length: 100 }, (_, i) => i), "[0, 1, 2, 3, 4, 5, ...]"],
      [Buffer.from("bytes"), "b'bytes'"],
    ];
    for (const [result, expected] of rows) {
      const finished = future();
      finished.setResult(result);
      assertPrints(finished, `<Future finished result=${expected}>`);
    }
  });

  it("String(Future) shows the error, however long", () => {
    for (const message of ["bad", "x".repeat(100)]) {
      const failed = future();
      failed.setException(new TypeError(message));
      assertPrints(failed, `<Future finished exception=TypeError('${message}')>`);
      failed.exception();
    }
  });

  it("String(Future) shows that it was cancelled, and not the message", () => {
    const cancelled = future();
    cancelled.cancel("message");
    assertPrints(cancelled, "<Future cancelled>");
  });

  it("String(Future) ends when the result is the Future itself", () => {
    const recursive = future<{ recursive: unknown }>();
    recursive.setResult({ recursive });
    assertPrints(recursive, "<Future finished result={'recursive': ...}>");
  });

  it("String(Future) of a subclass has its name", () => {
    class Answer extends asyncio.Future<number> {}
    const answer = new Answer();
    assertPrints(answer, "<Answer pending>");
    answer.setResult(42);
    assertPrints(answer, "<Answer finished result=42>");
  });

  it("String(gather()) and String(shield()) show what they are", async () => {
    assertPrints(asyncio.gather([]), "<Future finished result=[]>");
    const inner = future<number>();
    const all = asyncio.gather([inner]);
    assertPrints(all, "<_GatheringFuture pending>");
    const outer = asyncio.shield(inner);
    assertPrints(outer, "<Future pending cb=[shield()]>");
    assertPrints(inner, "<Future pending cb=[gather(), shield()]>");
    inner.setResult(1);
    await outer;
    await all;
    assertPrints(all, "<_GatheringFuture finished result=[1]>");
    assertPrints(outer, "<Future finished result=1>");
  });
});

describe("String(Task)", () => {
  it("String(Task) shows name and function, before and after its start", async () => {
    const task = asyncio.createTask(work, { name: "worker" });
    assertPrints(task, "<Task pending name='worker' coro=<work()>>");
    await asyncio.sleep(0);
    assertPrints(task, "<Task pending name='worker' coro=<work()> wait_for=<sleep() N s left>>");
    task.cancel();
    assertPrints(task, "<Task cancelling name='worker' coro=<work()> wait_for=<sleep() cancelled>>");
    await asyncio.wait([task]);
    assertPrints(task, "<Task cancelled name='worker' coro=<work()>>");
  });

  it("String(Task) that is cancelled before its start shows that it is cancelling", async () => {
    const task = asyncio.createTask(work, { name: "worker" });
    task.cancel();
    assertPrints(task, "<Task cancelling name='worker' coro=<work()>>");
    await asyncio.wait([task]);
    assertPrints(task, "<Task cancelled name='worker' coro=<work()>>");
  });

  it("String(Task) shows the result and the error", async () => {
    const { task: finished } = await started(async function succeeds() {
      return "result";
    }, "finished");
    await finished;
    assertPrints(finished, "<Task finished name='finished' coro=<succeeds()> result='result'>");
    const { task: failed } = await started(async function fails() {
      throw new RangeError("bad");
    }, "failed");
    await asyncio.wait([failed]);
    assertPrints(failed, "<Task finished name='failed' coro=<fails()> exception=RangeError('bad')>");
    failed.exception();
  });

  it("String(Task) shows a number in place of a name that was not given, counting up", () => {
    const numbers = [asyncio.createTask(() => 1), asyncio.createTask(() => 1)].map((task) => {
      const [, number] = /^<Task pending name='Task-(\d+)' coro=<anonymous\(\)>>$/.exec(String(task)) ?? [];
      return Number(number);
    });
    assert.equal(numbers[1], (numbers[0] as number) + 1);
  });

  it("String(Task) quotes the name as Python does, also a new one", async () => {
    const task = asyncio.createTask(work, { name: "it's" });
    assertPrints(task, `<Task pending name="it's" coro=<work()>>`);
    task.setName("renamed\n");
    assertPrints(task, "<Task pending name='renamed\\n' coro=<work()>>");
    await ended(task);
  });

  it("String(Task) shows the Future that it waits for, before and after the result is set", async () => {
    const future = new asyncio.Future<number>();
    const { task } = await started(async function waiter() {
      await future;
    }, "waiter");
    assertPrints(
      task,
      "<Task pending name='waiter' coro=<waiter()> wait_for=<Future pending cb=[Task.task_wakeup()]>>",
    );
    future.setResult(1);
    assertPrints(task, "<Task pending name='waiter' coro=<waiter()> wait_for=<Future finished result=1>>");
    await task;
    assertPrints(task, "<Task finished name='waiter' coro=<waiter()> result=undefined>");
  });

  it("String(Task) shows which task it waits for, and its callbacks", async () => {
    const { task: inner } = await started(work, "inner");
    const { task: outer } = await started(async function outer() {
      await inner;
    }, "outer");
    outer.addDoneCallback(function told() {});
    const innerText =
      "<Task pending name='inner' coro=<work()> " + "wait_for=<sleep() N s left> cb=[Task.task_wakeup()]>";
    assertPrints(inner, innerText);
    assertPrints(outer, `<Task pending name='outer' coro=<outer()> wait_for=${innerText} cb=[told()]>`);
    await ended(outer);
  });

  it("String(Task) ends for tasks that await each other", async () => {
    const tasks: asyncio.Task<void>[] = [];
    let open = (): void => {};
    const wayOut = new Promise<void>((resolve) => {
      open = resolve;
    });
    const waitFor = (index: number) => async (): Promise<void> => {
      await Promise.race([tasks[index], wayOut]);
    };
    tasks.push(asyncio.createTask(waitFor(1), { name: "0" }), asyncio.createTask(waitFor(0), { name: "1" }));
    await asyncio.sleep(0);
    assert.match(String(tasks[0]), /^<Task pending name='0' .*wait_for=<Task pending name='1' .*wait_for=\.\.\./);
    open();
    await Promise.all(tasks);
  });
});

describe("String(Handle)", () => {
  function tick(): void {}

  it("String(Handle) shows the function, or that it was cancelled", () => {
    const handle = loop.callSoon(tick);
    assertPrints(handle, "<Handle tick()>");
    handle.cancel();
    assertPrints(handle, "<Handle cancelled>");
    assertPrints(
      loop.callSoon(() => {}),
      "<Handle anonymous()>",
    );
  });

  it("String(TimerHandle) shows the time as well", () => {
    const timer = loop.callAt(1e9, tick);
    assertPrints(timer, "<TimerHandle when=1000000000 tick()>");
    timer.cancel();
    assertPrints(timer, "<TimerHandle cancelled when=1000000000>");
    const later = loop.callLater(60, tick);
    assertPrints(later, `<TimerHandle when=${later.when()} tick()>`);
    later.cancel();
  });
});

describe("String() of locks", () => {
  it("String(Lock) shows whether it is locked, and how many wait", async () => {
    const lock = new asyncio.Lock();
    assertPrints(lock, "<asyncio.locks.Lock object at 0xHEX [unlocked]>");
    await lock.acquire();
    assertPrints(lock, "<asyncio.locks.Lock object at 0xHEX [locked]>");
    const { task } = await started(() => lock.acquire());
    assertPrints(lock, "<asyncio.locks.Lock object at 0xHEX [locked, waiters:1]>");
    await ended(task);
    assertPrints(lock, "<asyncio.locks.Lock object at 0xHEX [locked]>");
  });

  it("String(Event) shows whether it is set, and how many wait", async () => {
    const event = new asyncio.Event();
    assertPrints(event, "<asyncio.locks.Event object at 0xHEX [unset]>");
    const { task } = await started(() => event.wait());
    assertPrints(event, "<asyncio.locks.Event object at 0xHEX [unset, waiters:1]>");
    event.set();
    assertPrints(event, "<asyncio.locks.Event object at 0xHEX [set, waiters:1]>");
    await task;
    assertPrints(event, "<asyncio.locks.Event object at 0xHEX [set]>");
    event.clear();
    assertPrints(event, "<asyncio.locks.Event object at 0xHEX [unset]>");
  });

  it("String(Condition) shows whether it is locked, and how many wait", async () => {
    const condition = new asyncio.Condition();
    assertPrints(condition, "<asyncio.locks.Condition object at 0xHEX [unlocked]>");
    const { task } = await started(() => condition.with(() => condition.wait()));
    assertPrints(condition, "<asyncio.locks.Condition object at 0xHEX [unlocked, waiters:1]>");
    await condition.with(() => {
      condition.notify();
      assertPrints(condition, "<asyncio.locks.Condition object at 0xHEX [locked, waiters:1]>");
    });
    await task;
    assertPrints(condition, "<asyncio.locks.Condition object at 0xHEX [unlocked]>");
  });

  it("String(Semaphore) shows the number, or that it is locked, and how many wait", async () => {
    const semaphore = new asyncio.Semaphore(2);
    assertPrints(semaphore, "<asyncio.locks.Semaphore object at 0xHEX [unlocked, value:2]>");
    await semaphore.acquire();
    assertPrints(semaphore, "<asyncio.locks.Semaphore object at 0xHEX [unlocked, value:1]>");
    await semaphore.acquire();
    assertPrints(semaphore, "<asyncio.locks.Semaphore object at 0xHEX [locked]>");
    const { task } = await started(() => semaphore.acquire());
    assertPrints(semaphore, "<asyncio.locks.Semaphore object at 0xHEX [locked, waiters:1]>");
    semaphore.release();
    assertPrints(semaphore, "<asyncio.locks.Semaphore object at 0xHEX [locked, waiters:1]>");
    await task;
    assertPrints(semaphore, "<asyncio.locks.Semaphore object at 0xHEX [locked]>");
    assertPrints(
      new asyncio.BoundedSemaphore(2),
      "<asyncio.locks.BoundedSemaphore object at 0xHEX [unlocked, value:2]>",
    );
  });

  it("String(Barrier) shows its state, and how many wait of how many", async () => {
    const barrier = new asyncio.Barrier(2);
    assertPrints(barrier, "<asyncio.locks.Barrier object at 0xHEX [filling, waiters:0/2]>");
    const { task: first } = await started(() => barrier.wait());
    assertPrints(barrier, "<asyncio.locks.Barrier object at 0xHEX [filling, waiters:1/2]>");
    const { task: second } = await started(() => barrier.wait());
    assertPrints(barrier, "<asyncio.locks.Barrier object at 0xHEX [draining, waiters:0/2]>");
    await asyncio.gather([first, second]);
    assertPrints(barrier, "<asyncio.locks.Barrier object at 0xHEX [filling, waiters:0/2]>");
    await barrier.abort();
    assertPrints(barrier, "<asyncio.locks.Barrier object at 0xHEX [broken]>");
    await barrier.reset();
    assertPrints(barrier, "<asyncio.locks.Barrier object at 0xHEX [filling, waiters:0/2]>");
  });
});

describe("String(Queue)", () => {
  it("String(Queue) shows size, items, who waits to get, and unfinished tasks", async () => {
    const queue = new asyncio.Queue<number>();
    assertPrints(queue, "<Queue at 0xHEX maxsize=0>");
    const { task } = await started(() => queue.get());
    assertPrints(queue, "<Queue at 0xHEX maxsize=0 _getters[1]>");
    queue.putNowait(1);
    assertPrints(queue, "<Queue at 0xHEX maxsize=0 _queue=[1] tasks=1>");
    await task;
    assertPrints(queue, "<Queue at 0xHEX maxsize=0 tasks=1>");
    queue.taskDone();
    assertPrints(queue, "<Queue at 0xHEX maxsize=0>");
    queue.shutdown();
    assertPrints(queue, "<Queue at 0xHEX maxsize=0 shutdown>");
  });

  it("String(Queue) shows who waits to put", async () => {
    const queue = new asyncio.Queue<string>(1);
    queue.putNowait("a");
    assertPrints(queue, "<Queue at 0xHEX maxsize=1 _queue=['a'] tasks=1>");
    const { task } = await started(() => queue.put("b"));
    assertPrints(queue, "<Queue at 0xHEX maxsize=1 _queue=['a'] _putters[1] tasks=1>");
    await ended(task);
  });

  it("String(LifoQueue), String(PriorityQueue) show the name of the class", () => {
    const stack = new asyncio.LifoQueue<number>(3);
    const heap = new asyncio.PriorityQueue<number>(3);
    for (const item of [2, 1]) {
      stack.putNowait(item);
      heap.putNowait(item);
    }
    assertPrints(stack, "<LifoQueue at 0xHEX maxsize=3 _queue=[2, 1] tasks=2>");
    assertPrints(heap, "<PriorityQueue at 0xHEX maxsize=3 _queue=[1, 2] tasks=2>");
  });
});

describe("String(TaskGroup)", () => {
  it("String(TaskGroup) shows its tasks, its errors and where it is", async () => {
    await asyncio.createTask(async () => {
      const group = new asyncio.TaskGroup();
      assertPrints(group, "<TaskGroup>");
      const block = group.with(async () => {
        assertPrints(group, "<TaskGroup entered>");
        group.createTask(work);
        assertPrints(group, "<TaskGroup tasks=1 entered>");
        group.createTask(async () => {
          throw new Error("bad");
        });
        assertPrints(group, "<TaskGroup tasks=2 entered>");
        try {
          await asyncio.sleep(60);
        } finally {
          assertPrints(group, "<TaskGroup tasks=1 errors=1 cancelling>");
        }
      });
      await assert.rejects(block, asyncio.ExceptionGroup);
      assertPrints(group, "<TaskGroup cancelling>");
    });
  });

  it("String(TaskGroup) that has ended well still shows that it was entered", async () => {
    await asyncio.createTask(async () => {
      const group = new asyncio.TaskGroup();
      await group.with(async () => {});
      assertPrints(group, "<TaskGroup entered>");
    });
  });
});

describe("String(Timeout)", () => {
  it("String(Timeout) shows its state, and while it is active the deadline", async () => {
    await asyncio.createTask(async () => {
      const none = asyncio.timeout(null);
      assertPrints(none, "<Timeout [created]>");
      await none.with(async () => assertPrints(none, "<Timeout [active] when=None>"));
      assertPrints(none, "<Timeout [finished]>");

      const distant = asyncio.timeoutAt(1e9 + 0.12345);
      assertPrints(distant, "<Timeout [created]>");
      await distant.with(async () => assertPrints(distant, "<Timeout [active] when=1000000000.123>"));

      const passed = asyncio.timeoutAt(0);
      const block = passed.with(async () => {
        try {
          await asyncio.sleep(60);
        } finally {
          assertPrints(passed, "<Timeout [expiring]>");
        }
      });
      await assert.rejects(block, asyncio.TimeoutError);
      assertPrints(passed, "<Timeout [expired]>");
    });
  });
});

describe("String(StreamReader)", () => {
  it("String(StreamReader) shows what is in the buffer, the end, and a limit that is not the usual one", () => {
    const reader = new asyncio.StreamReader();
    assertPrints(reader, "<StreamReader>");
    reader.feedData(Buffer.from("abc"));
    assertPrints(reader, "<StreamReader 3 bytes>");
    reader.feedEof();
    assertPrints(reader, "<StreamReader 3 bytes eof>");
    const limited = new asyncio.StreamReader({ limit: 5 });
    assertPrints(limited, "<StreamReader limit=5>");
    limited.feedData(Buffer.from("x".repeat(20)));
    assertPrints(limited, "<StreamReader 20 bytes limit=5>");
  });

  it("String(StreamReader) shows a waiting read, and the error", async () => {
    const reader = new asyncio.StreamReader();
    const { task } = await started(() => reader.read(1));
    assertPrints(reader, "<StreamReader waiter=<Future pending>>");
    reader.setException(new RangeError("bad"));
    assertPrints(reader, "<StreamReader exception=RangeError('bad')>");
    await assert.rejects(Promise.resolve(task), /bad/);
  });
});

describe("String() of connections", () => {
  it("String(Server), String(StreamReader), String(StreamWriter) show addresses and states", async () => {
    const server = await asyncio.startServer(
      async (reader, writer) => {
        await reader.read();
        writer.close();
      },
      "127.0.0.1",
      0,
    );
    const address = String(server.sockets[0]?.getsockname());
    assert.match(address, /^127\.0\.0\.1:\d+$/);
    assertPrints(server.sockets[0], `<ServerSocket ${address}>`);
    assertPrints(server, `<Server sockets=(<ServerSocket ${address}>,)>`);

    const [reader, writer] = await asyncio.openConnection("127.0.0.1", address.replace(/.*:/, ""));
    const ends = `${writer.getExtraInfo("sockname")} peer=${address}`;
    assertPrints(writer.transport, `<SocketTransport ${ends}>`);
    assertPrints(reader, `<StreamReader transport=<SocketTransport ${ends}>>`);
    assertPrints(
      writer,
      `<StreamWriter transport=<SocketTransport ${ends}> reader=<StreamReader transport=<SocketTransport ${ends}>>>`,
    );
    const closing = `<SocketTransport ${ends} closing>`;
    writer.close();
    assertPrints(writer.transport, closing);
    assertPrints(writer, `<StreamWriter transport=${closing} reader=<StreamReader transport=${closing}>>`);
    await writer.waitClosed();
    const closed = `<SocketTransport ${ends} closed>`;
    assertPrints(writer, `<StreamWriter transport=${closed} reader=<StreamReader eof transport=${closed}>>`);
    server.close();
    assertPrints(server, "<Server sockets=()>");
    await server.waitClosed();
  });
});

describe("String(EventLoop)", () => {
  it("String(EventLoop) shows that it runs, and debug mode", () => {
    assertPrints(loop, "<EventLoop running=True closed=False debug=False>");
    loop.setDebug(true);
    assertPrints(loop, "<EventLoop running=True closed=False debug=True>");
    loop.setDebug(false);
  });
});

describe("String() of context variables", () => {
  it("String(ContextVar) shows the name, and the default", () => {
    assertPrints(new ContextVar("name"), "<ContextVar name='name' at 0xHEX>");
    assertPrints(new ContextVar("it's", { default: 42 }), `<ContextVar name="it's" default=42 at 0xHEX>`);
    assertPrints(new ContextVar("list", { default: ["a"] }), "<ContextVar name='list' default=['a'] at 0xHEX>");
  });

  it("String(Token) shows the variable, and that it was used", () => {
    new Context().run(() => {
      const variable = new ContextVar<number>("name");
      const token = variable.set(1);
      assertPrints(token, "<Token var=<ContextVar name='name' at 0xHEX> at 0xHEX>");
      variable.reset(token);
      assertPrints(token, "<Token used var=<ContextVar name='name' at 0xHEX> at 0xHEX>");
    });
  });

  it("String(Context) shows its address, whatever is in it", () => {
    const text = "<Context object at 0xHEX>";
    assertPrints(new Context(), text.replace("<Context", "<_contextvars.Context"));
    assertPrints(copyContext(), text.replace("<Context", "<_contextvars.Context"));
  });

  it("String() of the same object is the same each time, and of another one another", () => {
    const [first, second] = [new Context(), new Context()];
    assert.equal(String(first), String(first));
    assert.notEqual(String(first), String(second));
    assert.equal(inspect(first), String(first));
  });
});

describe("functions that bind() has made", () => {
  function original(): never {
    throw new Error("expected");
  }
  const bound = original.bind(null).bind(null);

  it("Task, Handle, callbacks and messages show the name of the function itself", async () => {
    const future = new asyncio.Future<void>();
    future.addDoneCallback(bound);
    const reports: string[] = [];
    loop.setExceptionHandler((_, context) => reports.push(context.message));
    try {
      const task = asyncio.createTask(bound);
      const texts = [future, loop.callSoon(bound), loop.callLater(0, bound), task].map(String);
      future.setResult();
      await asyncio.sleep(0.01);
      // Otherwise reported when it is collected, perhaps during another test.
      task.exception();
      for (const text of [...texts, ...reports]) {
        assert.doesNotMatch(text, /bound/);
      }
      assert.deepEqual(reports.slice(0, 2), ["Exception in callback original()", "Exception in callback original()"]);
      for (const text of texts) {
        assert.match(text, /original\(\)/);
      }
      assert.throws(() => new ContextVar(bound as never), /<function original>/);
    } finally {
      loop.setExceptionHandler(null);
    }
  });
});
