/** Tasks, Futures and Contexts of another installed copy of the package, wherever something that can be awaited is taken. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Context, ContextVar } from "contextvars";
import * as here from "contextvars/asyncio";
import { importCopy } from "../support/copies.ts";
import { outcomeOf, turns } from "../support/peers.ts";
import { promiseGivers } from "../support/published.ts";

const copy = await importCopy();
type Asyncio = typeof here;
type Foreign = here.Future<unknown>;

/** What takes a Future, by its name in exports.txt; called in a task, gives what it makes of the Future's result. */
const takers: Record<string, (own: Asyncio, foreign: Foreign) => unknown> = {
  ensureFuture: (own, foreign) => {
    assert.equal(own.ensureFuture(foreign), foreign);
    return own.ensureFuture(foreign);
  },
  gather: async (own, foreign) => (await own.gather([foreign]))[0],
  wait: async (own, foreign) => {
    const [done] = await own.wait([foreign]);
    assert.deepEqual([...done], [foreign]);
    return foreign.result();
  },
  waitFor: (own, foreign) => own.waitFor(foreign, 5),
  shield: (own, foreign) => own.shield(foreign),
  asCompleted: async (own, foreign) => {
    for await (const done of own.asCompleted([foreign])) {
      assert.equal(done, foreign);
    }
    const [promise] = own.asCompleted([foreign]);
    return await promise;
  },
  createTask: (own, foreign) => own.createTask(() => foreign),
  "EventLoop.createTask": (own, foreign) => own.getRunningLoop().createTask(() => foreign),
  "TaskGroup.createTask": async (own, foreign) => {
    const group = new own.TaskGroup();
    const task = await group.with((tasks) => ({ task: tasks.createTask(() => foreign) })).catch(onlyError);
    return task.task.result();
  },
  "TaskGroup.with": (own, foreign) => new own.TaskGroup().with(() => foreign).catch(onlyError),
  "Timeout.with": (own, foreign) => own.timeout(5).with(() => foreign),
  "Barrier.with": (own, foreign) => new own.Barrier(1).with(() => foreign),
  "Condition.with": (own, foreign) => new own.Condition().with(() => foreign),
  "Lock.with": (own, foreign) => new own.Lock().with(() => foreign),
  "Semaphore.with": (own, foreign) => new own.Semaphore().with(() => foreign),
};

/** What takes one and does not wait for it. */
const others: Record<string, (own: Asyncio, foreign: Foreign) => unknown> = {
  isfuture: (own, foreign) => assert.equal(own.isfuture(foreign), true),
  captureCallGraph: async (own, foreign) => assert.equal((await own.captureCallGraph(foreign))?.future, foreign),
  formatCallGraph: async (own, foreign) => assert.match(await own.formatCallGraph(foreign), /^\* (?:Task|Future)\(/),
  printCallGraph: (own, foreign) => own.printCallGraph(foreign, { file: { write: () => true } as never }),
};

/** The only error of an ExceptionGroup. */
function onlyError(error: unknown): never {
  throw error instanceof AggregateError ? error.errors[0] : error;
}

interface Pending {
  readonly future: Foreign;
  /** Ends it with what the function returns or throws. */
  readonly end: (outcome: () => unknown) => void;
}

const sorts: Record<string, (other: Asyncio) => Pending> = {
  Future: (other) => {
    const future = new other.Future<unknown>();
    const end = (outcome: () => unknown): void => {
      try {
        future.setResult(outcome());
      } catch (error) {
        future.setException(error);
      }
    };
    return { future, end };
  },
  Task: (other) => {
    const event = new other.Event();
    let outcome: () => unknown = () => {};
    const future = other.createTask(async () => {
      await event.wait();
      return outcome();
    });
    const end = (ending: () => unknown): void => {
      outcome = ending;
      event.set();
    };
    return { future, end };
  },
};

const directions: Record<string, [own: Asyncio, other: Asyncio, OtherContext: typeof Context]> = {
  "of another copy": [here, copy.asyncio, copy.contextvars.Context],
  "of this copy, in another one,": [copy.asyncio, here, Context],
};

describe("A second copy of the package", () => {
  it("every published function that takes something to await is in one of the tables of this test", () => {
    const known = [...Object.keys(takers), ...Object.keys(others)];
    const names = promiseGivers()
      .filter(({ takesAwaitable }) => takesAwaitable)
      .map(({ name }) => name);
    assert.deepEqual(
      names.filter((name) => !known.includes(name)),
      [],
    );
  });

  it("a second copy of the package is another set of classes", () => {
    assert.notEqual(copy.asyncio.Future, here.Future);
    assert.equal(here.isfuture(Promise.resolve()), false);
  });

  for (const [direction, [own, other, OtherContext]] of Object.entries(directions)) {
    for (const [sort, make] of Object.entries(sorts)) {
      for (const [name, take] of Object.entries(takers)) {
        it(`${name}() of a ${sort} ${direction} returns its result`, async () => {
          const { future, end } = make(other);
          const task = own.createTask(async () => take(own, future));
          await turns(2);
          end(() => "result");
          assert.equal(await task, "result");
        });

        it(`${name}() of a ${sort} ${direction} throws the error that it fails with`, async () => {
          const { future, end } = make(other);
          const task = own.createTask(async () => take(own, future));
          await turns(2);
          const error = new Error("the very one");
          end(() => {
            throw error;
          });
          assert.equal(await outcomeOf(task), error);
        });

        it(`${name}() of a ${sort} ${direction} is cancelled with its task`, async () => {
          const { future, end } = make(other);
          const task = own.createTask(async () => take(own, future));
          await turns(2);
          task.cancel("enough");
          const error = await outcomeOf(task);
          assert.ok(here.isCancelled(error) && copy.asyncio.isCancelled(error));
          const leavesItAlone = ["wait", "shield", "asCompleted"].includes(name);
          assert.equal(future.cancelled(), !leavesItAlone);
          if (leavesItAlone) {
            end(() => "goes on");
            assert.equal(await future, "goes on");
          }
        });
      }

      for (const [name, take] of Object.entries(others)) {
        it(`${name}() takes a ${sort} ${direction}`, async () => {
          const { future } = make(other);
          await take(own, future);
          future.cancel();
        });
      }
    }

    it(`a task that awaits a Future ${direction} cancels it with the reason of its signal`, async () => {
      const future = new other.Future<void>();
      const controller = new AbortController();
      const reason = new Error("why");
      const task = own.createTask(async () => await future, { signal: controller.signal });
      await turns(2);
      controller.abort(reason);
      assert.equal(((await outcomeOf(task)) as Error).cause, reason);
      assert.equal(((await outcomeOf(future)) as Error).cause, reason);
    });

    it(`a Context ${direction} is one to run in for tasks, callbacks and a main task`, async () => {
      const variable = new ContextVar("v", { default: "unset" });
      const context = new OtherContext() as Context;
      context.run(() => variable.set("seen"));
      const seen: string[] = [];
      const look = (): void => void seen.push(variable.get());
      const loop = own.getRunningLoop();
      await own.createTask(look, { context });
      await own.createTask(look, { context, eagerStart: true });
      loop.callSoon(look, { context });
      loop.callLater(0, look, { context });
      const future = new own.Future<void>();
      future.addDoneCallback(look, { context });
      future.setResult();
      await turns(5);
      const runner = new own.Runner();
      await runner.run(look, { context });
      await runner.close();
      assert.deepEqual(seen, Array(6).fill("seen"));
    });
  }
});
