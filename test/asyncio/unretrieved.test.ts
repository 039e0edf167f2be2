/** An unretrieved error is reported when its task is garbage, even if the error refers to the task. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { survivors } from "../support/garbage.ts";
import { limitOf } from "../support/runtime-limits.ts";

const TASKS = 20;
const loop = asyncio.getRunningLoop();
const variable = new ContextVar<unknown>("variable");
const number = new ContextVar<number>("number");

class OwnError extends RangeError {
  readonly code = "ERR_OWN";
  readonly details = { path: ["a", "b"], when: 1 };
}

const self = (): asyncio.Task<unknown> => asyncio.currentTask() as asyncio.Task<unknown>;
const throws = (error: unknown): never => {
  throw error;
};

/** With a private field, as its class and as that of a class that it extends. */
class PrivateError extends OwnError {
  readonly #task = self();
  get task(): asyncio.Task<unknown> {
    return this.#task;
  }
}
class DerivedError extends PrivateError {}

/** As compilers translate private fields. */
const hidden = new WeakMap<object, unknown>();
class HidingError extends OwnError {
  constructor(message: string) {
    super(message);
    hidden.set(this, self());
  }
}

/** Its message needs a private field as well. */
class MessageError extends OwnError {
  readonly #held = [self(), "x"] as const;
  override get message(): string {
    // V8 asks for it before there are fields.
    return #held in this ? this.#held[1] : "";
  }
}

/** How an error, or what is reported with it, leads to its task. */
const shapes: Record<string, () => never> = {
  "no way": () => throws(new OwnError("x")),
  "a variable of its Context": () => {
    variable.set({ task: self() });
    return throws(new OwnError("x"));
  },
  "a property": () => throws(Object.assign(new OwnError("x"), { task: self() })),
  "a property of a property": () => throws(Object.assign(new OwnError("x"), { deep: [{ tasks: new Set([self()]) }] })),
  "a symbol's property": () => throws(Object.assign(new OwnError("x"), { [Symbol("task")]: self() })),
  "a cause": () => throws(new OwnError("x", { cause: Object.assign(new Error("y"), { task: self() }) })),
  "a cause that is the task": () => throws(new OwnError("x", { cause: self() })),
  "a cause that leads to itself": () => {
    const error = new OwnError("x");
    return throws(Object.assign(error, { cause: new Error("y", { cause: error }), task: self() }));
  },
  "the closure of a method": () => {
    const task = self();
    return throws(Object.assign(new OwnError("x"), { retry: () => task.cancel() }));
  },
  "a private field": () => throws(new PrivateError("x")),
  "a private field in a WeakMap": () => throws(new HidingError("x")),
  "a private field of the class that its own extends": () => throws(new DerivedError("x")),
  "a private field that its message needs": () => throws(new MessageError()),
  "an accessor": () => {
    const task = self();
    return throws(Object.defineProperty(new OwnError("x"), "task", { get: () => task, enumerable: true }));
  },
  "a promise of its own": () => throws(Object.assign(new OwnError("x"), { promise: Promise.resolve([self()]) })),
  "one of its errors": () =>
    throws(Object.assign(new OwnError("x"), { errors: [Object.assign(new Error("y"), { task: self() })] })),
};

const reports: asyncio.ExceptionContext[] = [];

before(() => loop.setExceptionHandler((_, context) => void reports.push(context)));
after(() => loop.setExceptionHandler(null));

/** Makes the tasks, which fail, and forgets them. */
async function fail(body: () => unknown, tasks: number): Promise<WeakRef<object>[]> {
  const references = Array.from({ length: tasks }, () => new WeakRef(asyncio.createTask(body)));
  await asyncio.sleep(0.005);
  return references;
}

/** What is reported when this many failed tasks are garbage. */
async function reportsOf(body: () => unknown, tasks = TASKS): Promise<asyncio.ExceptionContext[]> {
  reports.length = 0;
  assert.equal(await survivors(await fail(body, tasks)), 0, "all of them are collected");
  await asyncio.sleep(0.02);
  return reports.splice(0);
}

describe("An error that leads back to its task", () => {
  for (const [way, body] of Object.entries(shapes)) {
    it(`an error that is never retrieved is reported and collected even if it refers to its task by ${way}`, async () => {
      const told = await reportsOf(body);
      assert.equal(told.length, TASKS);
      for (const { message, exception, future } of told) {
        assert.equal(message, "Task exception was never retrieved");
        assert.match(String(future), /^<Task finished .* exception=RangeError\('x'\)>$/);
        assert.ok(exception instanceof OwnError);
        assert.deepEqual([exception.name, exception.message, exception.code], ["RangeError", "x", "ERR_OWN"]);
        assert.deepEqual(exception.details, { path: ["a", "b"], when: 1 });
        assert.match(exception.stack ?? "", /unretrieved\.test/);
      }
    });
  }

  it("what is thrown is reported by its text where it is neither an error nor plain data, and leads to its task", async () => {
    class Thrown {
      readonly task = self();
      toString(): string {
        return "<Thrown>";
      }
    }
    const told = await reportsOf(() => throws(new Thrown()));
    assert.deepEqual(
      told.map(({ exception }) => exception),
      Array(TASKS).fill("<Thrown>"),
    );
  });

  it("the error itself is reported if something else keeps it", {
    skip: limitOf("collection beside an error"),
  }, async () => {
    const kept: unknown[] = [];
    const told = await reportsOf(() => {
      // The error does not lead to the task, but it might, for all that can be seen.
      const error = Object.assign(new OwnError("x"), { settings: new Map([["a", 1]]) });
      kept.push(error);
      throw error;
    });
    assert.deepEqual(new Set(told.map(({ exception }) => exception)), new Set(kept));
  });

  it("the exception handler sees variable values that are not objects, or that other code keeps alive", async () => {
    const seen: unknown[] = [];
    const settings = new Map([["a", 1]]);
    const other = new ContextVar<object>("other");
    loop.setExceptionHandler(() => void seen.push([number.get(), variable.get(), other.get({ unset: true })]));
    await survivors(
      await fail(() => {
        number.set(7);
        variable.set(settings);
        other.set([self()]);
        throw new Error("x");
      }, 1),
    );
    await asyncio.sleep(0.02);
    loop.setExceptionHandler((_, context) => void reports.push(context));
    assert.deepEqual(seen, [[7, settings, { unset: true }]]);
  });
});
