/**
 * What OpenTelemetry asks of a ContextManager, outside of tasks and inside: its own suite's cases, in our words.
 */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Context, createContextKey, ROOT_CONTEXT } from "@opentelemetry/api";
import { Context as Values } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { ContextVarsContextManager } from "contextvars/opentelemetry";
import { inOwnFlow } from "../support/places.ts";

const key = createContextKey("name");
const [a, b, c] = ["a", "b", "c"].map((name) => ROOT_CONTEXT.setValue(key, name)) as [Context, Context, Context];

type Case = (manager: ContextVarsContextManager) => unknown;

const places: readonly { readonly place: string; readonly inPlace: (body: () => unknown) => unknown }[] = [
  { place: "outside of tasks", inPlace: (body) => inOwnFlow(body) },
  { place: "in Context.run()", inPlace: (body) => new Values().run(body) },
  { place: "in a task", inPlace: (body) => asyncio.createTask(async () => await body()) },
  {
    place: "in a task beside one that does the same",
    inPlace: (body) => asyncio.gather([async () => await body(), async () => await body()]),
  },
];

const enabling: Record<string, Case> = {
  "enable() returns the manager": (manager) => assert.equal(manager.enable(), manager),
  "disable() returns the manager": (manager) => assert.equal(manager.disable(), manager),
  "disable() has no context active, not even in a function that with() runs": (manager) => {
    manager.with(a, () => {
      manager.disable();
      assert.equal(manager.active(), ROOT_CONTEXT);
    });
  },
};

const calling: Record<string, Case> = {
  "with() takes the root context": (manager) => {
    manager.with(ROOT_CONTEXT, () => assert.equal(manager.active(), ROOT_CONTEXT));
  },
  "with() has the context active in the function": (manager) => {
    manager.with(a, () => assert.equal(manager.active(), a));
  },
  "with() takes anything for a context": (manager) => {
    manager.with("1" as never, () => assert.equal(manager.active(), "1"));
  },
  "with() works after disable()": (manager) => {
    manager.disable();
    manager.with(a, () => assert.equal(manager.active(), a));
    assert.equal(manager.active(), ROOT_CONTEXT);
  },
  "with() throws what the function throws, and restores": (manager) => {
    const error = new Error("out");
    const fail = (): void => {
      throw error;
    };
    assert.throws(() => manager.with(a, fail), error);
    assert.equal(manager.active(), ROOT_CONTEXT);
  },
  "with() passes this, arguments and the result": (manager) => {
    function callee(this: string, ...args: unknown[]): unknown[] {
      return [String(this), ...args];
    }
    assert.deepEqual(manager.with(a, callee, "this", 1, 2), ["this", 1, 2]);
    assert.equal(
      manager.with(a, () => 3.14),
      3.14,
    );
    const strict = function (this: unknown): unknown {
      return this;
    };
    assert.equal(manager.with(a, strict), undefined);
  },
  "with() refuses what is no function": (manager) => {
    assert.throws(() => manager.with(a, 1 as never), {
      name: "TypeError",
      message: /with\(\) needs a function.*number/,
    });
  },
  "with() in with() restores the outer context": (manager) => {
    manager.with(a, () => {
      manager.with(b, () => assert.equal(manager.active(), b));
      assert.equal(manager.active(), a);
    });
  },
  "with() has the context active in a timer that the function set": async (manager) => {
    const seen = await manager.with(a, () => new Promise((resolve) => setTimeout(() => resolve(manager.active()), 1)));
    assert.equal(seen, a);
  },
  "with() in a synchronous with() keeps its context in an async function": async (manager) => {
    let later: Promise<unknown> | undefined;
    manager.with(a, () => {
      later = manager.with(b, async () => {
        await (async () => {})();
        return manager.active();
      });
      assert.equal(manager.active(), a);
    });
    assert.equal(manager.active(), ROOT_CONTEXT);
    assert.equal(await later, b);
  },
  "with() keeps the context over an await of a timer": async (manager) => {
    const later = manager.with(a, async () => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      return manager.active();
    });
    assert.equal(manager.active(), ROOT_CONTEXT);
    assert.equal(await later, a);
  },
  "with() restores the context after each of four that were awaited in each other": async (manager) => {
    const contexts = ["1", "2", "3", "4"] as unknown as Context[];
    const nested = async ([first, ...rest]: Context[]): Promise<void> => {
      if (first !== undefined) {
        await manager.with(first, async () => {
          assert.equal(manager.active(), first);
          await nested(rest);
          assert.equal(manager.active(), first);
        });
      }
    };
    await nested(contexts);
    assert.equal(manager.active(), ROOT_CONTEXT);
  },
  "with() keeps two trees of timers apart": async (manager) => {
    const tree = (outer: Context, inner: Context, wait: number): Promise<void> =>
      manager.with(outer, async () => {
        assert.equal(manager.active(), outer);
        await new Promise<void>((resolve) => {
          setTimeout(async () => {
            await manager.with(inner, async () => assert.equal(manager.active(), inner));
            assert.equal(manager.active(), outer);
            resolve();
          }, wait);
        });
        assert.equal(manager.active(), outer);
      });
    const trees = [tree(a, b, 4), tree(c, "4" as never, 1)];
    assert.equal(manager.active(), ROOT_CONTEXT);
    await Promise.all(trees);
  },
  "with() keeps timers of the same delay apart": async (manager) => {
    const active = (wait: number): Promise<Context> =>
      new Promise((resolve) => setTimeout(() => resolve(manager.active()), wait));
    const timers = [manager.with(a, () => active(2)), active(2), active(3)];
    assert.deepEqual(await Promise.all(timers), [a, ROOT_CONTEXT, ROOT_CONTEXT]);
  },
  "with() leaves other managers alone": (manager) => {
    const other = new ContextVarsContextManager();
    manager.with(a, () => {
      assert.equal(other.active(), ROOT_CONTEXT);
      other.with(b, () => assert.deepEqual([manager.active(), other.active()], [a, b]));
    });
  },
};

const bindingFunctions: Record<string, Case> = {
  "bind() returns a value unchanged if it is neither a function nor an emitter": (manager) => {
    for (const target of [{ a: 1 }, Promise.resolve(), "text", null, undefined, new EventTarget()]) {
      assert.equal(manager.bind(a, target), target);
      assert.equal(manager.disable().bind(a, target), target);
    }
  },
  "bind() has the context active in the function": (manager) => {
    assert.equal(manager.bind(a, () => manager.active())(), a);
    assert.equal(
      manager.with(
        b,
        manager.bind(a, () => manager.active()),
      ),
      a,
    );
  },
  "bind() works after disable()": (manager) => {
    const before = manager.bind(a, () => manager.active());
    manager.disable();
    assert.equal(before(), a);
    assert.equal(manager.bind(b, () => manager.active())(), b);
  },
  "bind() has the context active in a timer that the function set": async (manager) => {
    const bound = manager.bind(a, () => new Promise((resolve) => setTimeout(() => resolve(manager.active()), 1)));
    assert.equal(await bound(), a);
  },
  "bind() leaves other managers alone": (manager) => {
    const other = new ContextVarsContextManager();
    const bound = other.bind(
      b,
      manager.bind(a, () => [manager.active(), other.active()]),
    );
    assert.deepEqual(bound(), [a, b]);
  },
  "bind() passes this, arguments and result, and keeps name and length": (manager) => {
    const bound = manager.bind(a, function named(this: unknown, first: number, second: number) {
      return [this, first, second];
    });
    const target = { bound };
    assert.deepEqual(target.bound(1, 2), [target, 1, 2]);
    assert.deepEqual([bound.name, bound.length], ["named", 2]);
  },
};

const bindingEmitters: Record<string, Case> = {
  "bind() returns the emitter": (manager) => {
    const emitter = new EventEmitter();
    assert.equal(manager.bind(a, emitter), emitter);
    assert.equal(manager.disable().bind(a, new EventEmitter()) instanceof EventEmitter, true);
    assert.deepEqual(Object.keys(emitter), Object.keys(new EventEmitter()), "nothing shows on it");
  },
  "bind() works for an emitter after disable()": (manager) => {
    manager.disable();
    assert.deepEqual(heard(manager, manager.bind(a, new EventEmitter())), [a]);
  },
  "removeAllListeners() of a bound emitter removes those of the event, or all": (manager) => {
    const emitter = manager.bind(a, new EventEmitter());
    const listener = (): void => {};
    emitter.on("x", listener).on("y", listener).removeAllListeners("x");
    assert.deepEqual([emitter.listenerCount("x"), emitter.listenerCount("y")], [0, 1]);
    emitter.on("x", listener).removeAllListeners();
    assert.deepEqual([emitter.listenerCount("x"), emitter.listenerCount("y")], [0, 0]);
  },
  "a listener of a bound emitter can remove itself": (manager) => {
    const emitter = manager.bind(a, new EventEmitter());
    const listener = (): void => {
      assert.equal(manager.active(), a);
      emitter.removeListener("x", listener);
    };
    emitter.on("x", listener).emit("x");
    assert.equal(emitter.listenerCount("x"), 0);
  },
  "the context is active in what a listener of a bound emitter starts": async (manager) => {
    const emitter = manager.bind(a, new EventEmitter());
    const seen = await new Promise((resolve) => {
      emitter.on("x", () => setImmediate(() => resolve(manager.active())));
      emitter.emit("x");
    });
    assert.equal(seen, a);
  },
  "two managers bind one emitter, each to its context": (manager) => {
    const other = new ContextVarsContextManager();
    const emitter = other.bind(b, manager.bind(a, new EventEmitter()));
    const seen: Context[] = [];
    emitter.on("x", () => seen.push(manager.active(), other.active())).emit("x");
    emitter.once("y", () => seen.push(manager.active(), other.active())).emit("y");
    assert.deepEqual(seen, [a, b, a, b]);
    assert.equal(emitter.listenerCount("y"), 0);
  },
  "a second bind() of an emitter does nothing": (manager) => {
    assert.deepEqual(heard(manager, manager.bind(b, manager.bind(a, new EventEmitter()))), [a]);
  },
  "listeners from before bind() stay as they are": (manager) => {
    const emitter = new EventEmitter();
    const seen: Context[] = [];
    const listener = (): unknown => seen.push(manager.active());
    emitter.on("x", listener);
    manager.bind(a, emitter).on("x", listener);
    emitter.emit("x");
    assert.deepEqual(seen, [ROOT_CONTEXT, a]);
    emitter.off("x", listener).off("x", listener);
    assert.equal(emitter.listenerCount("x"), 0);
  },
};

for (const add of ["on", "addListener", "prependListener", "once", "prependOnceListener"] as const) {
  const isOnce = add.toLowerCase().includes("once");
  Object.assign(bindingEmitters, {
    [`${add}() of a bound emitter has the listener run in the context`]: (manager: ContextVarsContextManager) => {
      const emitter = manager.bind(a, new EventEmitter());
      const seen: unknown[] = [];
      emitter[add]("x", function (this: unknown, ...args: unknown[]) {
        seen.push(this, manager.active(), ...args);
      });
      assert.deepEqual([emitter.emit("x", 1, 2), emitter.emit("x", 1, 2)], [true, !isOnce]);
      const expected = [emitter, a, 1, 2];
      assert.deepEqual(seen, isOnce ? expected : [...expected, ...expected]);
    },
    [`${add}() of a bound emitter adds what listeners(), removeListener() and off() know by the listener`]: (
      manager: ContextVarsContextManager,
    ) => {
      const emitter = manager.bind(a, new EventEmitter());
      const added: unknown[] = [];
      const removed: unknown[] = [];
      const listener = (): void => {};
      emitter.on("newListener", (event, each) => event === "x" && added.push(each));
      emitter.on("removeListener", (event, each) => event === "x" && removed.push(each));
      emitter[add]("x", listener)[add]("x", listener);
      assert.deepEqual(emitter.listeners("x"), [listener, listener]);
      emitter.removeListener("x", listener);
      assert.deepEqual(emitter.listeners("x"), [listener]);
      emitter.off("x", listener);
      assert.deepEqual(emitter.listeners("x"), []);
      assert.deepEqual([added, removed], [Array(2).fill(listener), Array(2).fill(listener)]);
    },
    [`${add}() of a bound emitter refuses what is no function as it always does`]: (
      manager: ContextVarsContextManager,
    ) => {
      assert.throws(() => manager.bind(a, new EventEmitter())[add]("x", "no function" as never), TypeError);
    },
    [`${add}() that a class of emitters has of its own is called by a bound one`]: (
      manager: ContextVarsContextManager,
    ) => {
      const calls: string[] = [];
      class Own extends EventEmitter {}
      Own.prototype[add] = function (this: Own, event: string | symbol, listener: () => void): Own {
        calls.push(String(event));
        return EventEmitter.prototype[add].call(this, event, listener) as Own;
      };
      const emitter = manager.bind(a, new Own());
      let seen: unknown;
      emitter[add]("x", () => {
        seen = manager.active();
      });
      emitter.emit("x");
      assert.deepEqual([calls, seen], [["x"], a]);
    },
  });
}

Object.assign(bindingEmitters, {
  "once() of a bound emitter calls the listener once, even if the listener emits the event": (
    manager: ContextVarsContextManager,
  ) => {
    const emitter = manager.bind(a, new EventEmitter());
    let calls = 0;
    emitter.once("x", () => {
      calls += 1;
      emitter.emit("x");
    });
    emitter.emit("x");
    assert.deepEqual([calls, emitter.listenerCount("x")], [1, 0]);
  },
} satisfies Record<string, Case>);

const attaching: Record<string, Case> = {
  "attach() makes the context active, dispose() brings back the one before": (manager) => {
    const token = manager.attach(a);
    assert.equal(manager.active(), a);
    token.dispose();
    assert.equal(manager.active(), ROOT_CONTEXT);
    token.dispose();
    assert.equal(manager.active(), ROOT_CONTEXT);
  },
  "attach() nests": (manager) => {
    const tokens = [a, b, c].map((context) => {
      const token = manager.attach(context);
      assert.equal(manager.active(), context);
      return token;
    });
    for (const [i, token] of tokens.reverse().entries()) {
      token.dispose();
      assert.equal(manager.active(), [b, a, ROOT_CONTEXT][i]);
    }
  },
  "attach() can be used again and again": (manager) => {
    for (const context of [a, b, a]) {
      const token = manager.attach(context);
      assert.equal(manager.active(), context);
      token.dispose();
      assert.equal(manager.active(), ROOT_CONTEXT);
    }
  },
  "attach() holds over setImmediate and await": async (manager) => {
    const token = manager.attach(a);
    await new Promise<void>((resolve) => {
      setImmediate(() => {
        assert.equal(manager.active(), a);
        resolve();
      });
    });
    assert.equal(manager.active(), a);
    token.dispose();
    assert.equal(manager.active(), ROOT_CONTEXT);
  },
  "attach() holds in reactions of promises": async (manager) => {
    const token = manager.attach(a);
    assert.equal(await Promise.resolve().then(() => manager.active()), a);
    assert.equal(manager.active(), a);
    token.dispose();
    assert.equal(manager.active(), ROOT_CONTEXT);
  },
  "attach() gives way to with(), and comes back": (manager) => {
    const token = manager.attach(a);
    manager.with(b, () => assert.equal(manager.active(), b));
    assert.equal(manager.active(), a);
    token.dispose();
    assert.equal(manager.active(), ROOT_CONTEXT);
  },
  "attach() in with() goes back to the context of with()": (manager) => {
    const outer = manager.attach(a);
    manager.with(b, () => {
      const inner = manager.attach(c);
      assert.equal(manager.active(), c);
      inner.dispose();
      assert.equal(manager.active(), b);
    });
    assert.equal(manager.active(), a);
    outer.dispose();
    assert.equal(manager.active(), ROOT_CONTEXT);
  },
  "attach() gives way to a bound function, and comes back": (manager) => {
    const token = manager.attach(a);
    assert.equal(manager.bind(b, () => manager.active())(), b);
    assert.equal(manager.active(), a);
    token.dispose();
    assert.equal(manager.active(), ROOT_CONTEXT);
  },
  "attach() in one chain of timers is not seen in another one": async (manager) => {
    const chain = (context: Context, wait: number): Promise<void> =>
      new Promise((resolve) => {
        setTimeout(() => {
          const token = manager.attach(context);
          assert.equal(manager.active(), context);
          setTimeout(() => {
            assert.equal(manager.active(), context);
            token.dispose();
            assert.equal(manager.active(), ROOT_CONTEXT);
            resolve();
          }, wait);
        }, wait);
      });
    await Promise.all([chain(a, 4), chain(b, 2), chain(c, 2)]);
    assert.equal(manager.active(), ROOT_CONTEXT);
  },
  "attach() without dispose() is not seen by another task, nor by the next callback": async (manager) => {
    const seen = await asyncio.gather([
      async () => {
        manager.attach(a);
        await asyncio.sleep(0.002);
        return manager.active();
      },
      async () => {
        await asyncio.sleep(0.001);
        return manager.active();
      },
    ]);
    assert.deepEqual(seen, [a, ROOT_CONTEXT]);
    const ticks: Context[] = [];
    await new Promise<void>((resolve) => {
      const interval = setInterval(() => {
        ticks.push(manager.active());
        manager.attach(b);
        if (ticks.length === 3) {
          clearInterval(interval);
          resolve();
        }
      }, 1);
    });
    assert.deepEqual(ticks, Array(3).fill(ROOT_CONTEXT));
    await delay(1);
    assert.equal(manager.active(), ROOT_CONTEXT);
  },
  "attach() works after disable()": (manager) => {
    const token = manager.disable().attach(a);
    assert.equal(manager.active(), a);
    token.dispose();
    assert.equal(manager.active(), ROOT_CONTEXT);
  },
};

const groups = {
  enabling,
  calling,
  "binding functions": bindingFunctions,
  "binding emitters": bindingEmitters,
  attaching,
};

for (const { place, inPlace } of places) {
  describe(`ContextVarsContextManager ${place}`, () => {
    for (const [group, cases] of Object.entries(groups)) {
      for (const [name, body] of Object.entries(cases)) {
        it(`${group}: ${name}`, async () => {
          await inPlace(() => body(new ContextVarsContextManager()));
        });
      }
    }
  });
}

/** The contexts that a listener saw. */
function heard(manager: ContextVarsContextManager, emitter: EventEmitter): Context[] {
  const seen: Context[] = [];
  emitter.on("x", () => seen.push(manager.active()));
  emitter.emit("x");
  return seen;
}

describe("ContextVarsContextManager.asyncLocalStorage and what is no function", () => {
  it("asyncLocalStorage.run() and exit() throw a TypeError that names the call", () => {
    const { asyncLocalStorage } = new ContextVarsContextManager();
    for (const given of [undefined, null, 5, "x", {}, Promise.resolve()] as never[]) {
      const message = (method: string) => ({
        name: "TypeError",
        message: `asyncLocalStorage.${method} needs a function to call, got ${typeof given}`,
      });
      assert.throws(() => asyncLocalStorage.run(ROOT_CONTEXT, given), message("run()"));
      assert.throws(() => asyncLocalStorage.exit(given), message("exit()"));
    }
  });
});
