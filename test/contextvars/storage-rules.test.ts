/** The rules of where a variable lives: each scenario outside any Context, and inside one. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ContextVar, copyContext, isolated } from "contextvars";
import { turn } from "../support/latch.ts";
import { inEmptyContext, inOwnFlow } from "../support/places.ts";
import { runProgram } from "../support/programs.ts";
import { keepsStoresOnResources, type Runtime, runtime } from "../support/runtime.ts";

interface Scenario {
  readonly title: string;
  /** What comes out at the top level of a program or in a raw callback of Node. */
  readonly outside: unknown;
  /** What comes out inside `Context.run()`, where it is always what Python does. */
  readonly inside: unknown;
  /** Runtimes that differ, outside only. */
  readonly except?: Partial<Record<Runtime, unknown>>;
  readonly play: (variable: ContextVar<string>) => unknown;
}

const scenarios: readonly Scenario[] = [
  {
    title: "what an awaited function sets before its first await, its caller sees",
    outside: "callee",
    inside: "callee",
    async play(variable) {
      const callee = async (): Promise<void> => {
        variable.set("callee");
      };
      await callee();
      return variable.get();
    },
  },
  {
    title: "what an awaited function sets after its first await, its caller sees in a Context only",
    outside: "default",
    inside: "callee",
    async play(variable) {
      const callee = async (): Promise<void> => {
        await null;
        variable.set("callee");
        assert.equal(variable.get(), "callee");
        await null;
        assert.equal(variable.get(), "callee");
      };
      await callee();
      return variable.get();
    },
  },
  {
    title: "what a middleware sets before and after awaits, the one around it sees in a Context only",
    outside: "default",
    inside: "downstream",
    async play(variable) {
      const downstream = async (): Promise<void> => {
        await turn();
        variable.set("downstream");
      };
      const upstream = async (next: () => Promise<void>): Promise<string> => {
        await next();
        return variable.get();
      };
      return upstream(downstream);
    },
  },
  {
    title: "bare concurrent calls are isolated from each other outside a Context only",
    outside: ["a", "b"],
    inside: ["b", "b"],
    async play(variable) {
      const call = async (value: string): Promise<string> => {
        variable.set(value);
        await turn();
        return variable.get();
      };
      return Promise.all([call("a"), call("b")]);
    },
  },
  {
    title: "concurrent calls of an isolated() function are isolated from each other and from their caller",
    outside: [["a", "b"], "default"],
    inside: [["a", "b"], "default"],
    async play(variable) {
      const call = isolated(async (value: string) => {
        variable.set(value);
        await turn();
        return variable.get();
      });
      return [await Promise.all([call("a"), call("b")]), variable.get()];
    },
  },
  {
    title: "concurrent copyContext().run() calls are isolated from each other and from their caller",
    outside: [["a", "b"], "default"],
    inside: [["a", "b"], "default"],
    async play(variable) {
      const call = (value: string): Promise<string> =>
        copyContext().run(async () => {
          variable.set(value);
          await turn();
          return variable.get();
        });
      return [await Promise.all([call("a"), call("b")]), variable.get()];
    },
  },
  {
    title: "a set() of a raw timer's callback leaks back in a Context only",
    outside: "default",
    inside: "timer",
    async play(variable) {
      await new Promise<void>((resolve) => {
        setTimeout(() => {
          variable.set("timer");
          resolve();
        }, 1);
      });
      return variable.get();
    },
  },
  {
    title: "a raw timer's callback sees a set() made after it was started in a Context only",
    outside: "before",
    inside: "after",
    play(variable) {
      variable.set("before");
      const seen = new Promise((resolve) => {
        setTimeout(() => resolve(variable.get()), 1);
      });
      variable.set("after");
      return seen;
    },
  },
  {
    title: "a set() of a then() callback is seen after the await in a Context only",
    outside: "default",
    inside: "then",
    async play(variable) {
      await Promise.resolve().then(() => variable.set("then"));
      return variable.get();
    },
  },
  {
    title: "a set() of a listener is seen by the code that emits, since it runs in the same flow",
    outside: "listener",
    inside: "listener",
    play(variable) {
      const emitter = new EventEmitter();
      emitter.on("event", () => variable.set("listener"));
      emitter.emit("event");
      return variable.get();
    },
  },
  {
    title: "a set() of a generator's body is seen by the loop around it",
    outside: "generator",
    inside: "generator",
    play(variable) {
      function* generator(): Generator<number> {
        variable.set("generator");
        yield 1;
      }
      let seen = "";
      for (const _ of generator()) {
        seen = variable.get();
      }
      return seen;
    },
  },
  {
    title: "a set() of an async generator's body after an await is seen by the loop around it in a Context only",
    outside: "default",
    inside: "generator",
    except: { bun: "generator" },
    async play(variable) {
      async function* generator(): AsyncGenerator<number> {
        await turn();
        variable.set("generator");
        yield 1;
      }
      let seen = "";
      for await (const _ of generator()) {
        seen = variable.get();
      }
      return seen;
    },
  },
  {
    title: "a value lasts over awaits, timers and promises of the flow it was set in",
    outside: ["flow", "flow", "flow", "flow"],
    inside: ["flow", "flow", "flow", "flow"],
    async play(variable) {
      variable.set("flow");
      const seen = [variable.get()];
      await null;
      seen.push(variable.get());
      await sleep(1);
      seen.push(variable.get());
      seen.push(await Promise.resolve().then(() => variable.get()));
      return seen;
    },
  },
  {
    title: "a reset() reaches as far as a set()",
    outside: ["default", "value"],
    inside: ["default", "default"],
    async play(variable) {
      const token = variable.set("value");
      const undone = await Promise.resolve().then(() => {
        variable.reset(token);
        return variable.get();
      });
      return [undone, variable.get()];
    },
  },
];

describe("ContextVar outside Context.run()", () => {
  for (const { title, outside, except, play } of scenarios) {
    it(`ContextVar outside Context.run(): ${title}`, async () => {
      const variable = new ContextVar("v", { default: "default" });
      const expected = except !== undefined && runtime in except ? except[runtime] : outside;
      const seen = await inOwnFlow(() => play(variable));
      assert.deepEqual(seen, expected);
      assert.equal(variable.get(), "default", "nothing reached the test's own flow");
    });
  }
});

describe("ContextVar inside Context.run()", () => {
  for (const { title, inside, play } of scenarios) {
    it(`ContextVar inside Context.run(): ${title}`, async () => {
      const variable = new ContextVar("v", { default: "default" });
      assert.deepEqual(await inEmptyContext(() => play(variable)), inside);
      assert.equal(variable.get(), "default");
    });
  }
});

describe("ContextVar at the top level of a program", () => {
  for (const program of ["top-level.js", "top-level-commonjs.cjs"]) {
    it(`ContextVar at the top level of a program lasts for all that the top level starts afterwards (${program})`, async () => {
      assert.deepEqual(await runProgram(program), {
        startedBefore: "default",
        now: "top",
        nextTick: "top",
        microtask: "top",
        immediate: "top",
        timer: "top",
        afterAwait: "top",
        afterSecondAwait: "top",
        afterSetInBetween: "second",
      });
    });
  }

  it("ContextVar at the first use in a process is kept from flows that waited already", async () => {
    const { flows, top } = (await runProgram("first-use.js")) as { flows: unknown; top: unknown };
    assert.deepEqual(flows, [
      { name: "a", before: "default", after: "a", later: "a" },
      { name: "b", before: "default", after: "b", later: "b" },
      { name: "c", before: "default", after: "c", later: "c" },
    ]);
    assert.equal(top, "default");
  });

  it("ContextVar leaves no hook switched on between the callbacks that set it", async () => {
    const during = keepsStoresOnResources ? 1 : 0;
    assert.deepEqual(await runProgram("hooks.js"), {
      topLevel: during,
      afterTopLevel: 0,
      inCallback: during,
      inNestedCallback: during,
      afterCallback: 0,
      afterFailedCallback: 0,
      inContext: 0,
    });
  });
});
