/** What is over is forgotten: values, Contexts and variables can be collected. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Context, ContextVar, copyContext, isolated } from "contextvars";
import { survivors } from "../support/garbage.ts";
import { turn } from "../support/latch.ts";
import { inOwnFlow } from "../support/places.ts";
import { runtime } from "../support/runtime.ts";

const COUNT = 20;

/** Bun also looks for references on the machine's stack, and may find an old one there. */
const TOLERATED = runtime === "bun" ? 2 : 0;

/** Calls the function this many times and returns weak references to the objects that it created. */
async function made(make: (i: number) => object | Promise<object>): Promise<WeakRef<object>[]> {
  const references: WeakRef<object>[] = [];
  for (let i = 0; i < COUNT; i++) {
    references.push(new WeakRef(await make(i)));
  }
  return references;
}

async function assertCollected(references: WeakRef<object>[]): Promise<void> {
  const left = await survivors(references);
  assert.ok(left <= TOLERATED, `${left} of ${references.length} are left`);
}

/** Held by the module, as a program's variables are. */
const variable = new ContextVar<object>("v");

describe("memory", () => {
  it("memory: a value in a Context that is still held stays", async () => {
    const contexts: Context[] = [];
    const references = await made(() => {
      const value = {};
      const context = new Context();
      context.run(() => variable.set(value));
      contexts.push(context);
      return value;
    });
    assert.equal(await survivors(references, 3), COUNT);
    assert.equal(contexts.length, COUNT);
  });

  it("memory: a value set in a Context that is over is collected", async () => {
    await assertCollected(
      await made(() => {
        const value = {};
        new Context().run(() => variable.set(value));
        return value;
      }),
    );
  });

  it("memory: a value is collected after the variable remembered it in get()", async () => {
    await assertCollected(
      await made(() => {
        const value = {};
        const context = new Context();
        context.run(() => variable.set(value));
        assert.equal(
          context.run(() => variable.get()),
          value,
        );
        return value;
      }),
    );
  });

  it("memory: a value that the variable remembered last is collected, though the variable is never used again", async () => {
    const variables = Array.from({ length: COUNT }, (_, i) => new ContextVar<object>(`v${i}`));
    const references = await made((i) => {
      const value = {};
      new Context().run(() => {
        variables[i]?.set(value);
        assert.equal(variables[i]?.get(), value);
      });
      return value;
    });
    await assertCollected(references);
    assert.equal(variables.length, COUNT);
  });

  it("memory: a variable that forgot remembers again, and forgets again", async () => {
    for (let round = 0; round < 2; round++) {
      const references = await made(() => {
        const value = {};
        new Context().run(() => {
          variable.set(value);
          assert.equal(variable.get(), value);
        });
        return value;
      });
      await assertCollected(references);
    }
  });

  it("memory: a value set in an asynchronous flow outside any Context is collected when the flow is over", async () => {
    await assertCollected(
      await made((i) =>
        inOwnFlow(async () => {
          const value = { i };
          variable.set(value);
          await turn();
          assert.equal(variable.get(), value);
          return value;
        }),
      ),
    );
  });

  it("memory: a value set in a raw callback is collected", async () => {
    await assertCollected(
      await made(
        () =>
          new Promise((resolve) => {
            setImmediate(() => {
              const value = {};
              variable.set(value);
              resolve(value);
            });
          }),
      ),
    );
  });

  it("memory: a value set in an async function inside a Context is collected when it is over", async () => {
    await assertCollected(
      await made((i) =>
        new Context().run(async () => {
          const value = { i };
          variable.set(value);
          await turn();
          assert.equal(variable.get(), value);
          return value;
        }),
      ),
    );
  });

  it("memory: a value that another one replaced is collected, though its Context is held", async () => {
    const context = new Context();
    await assertCollected(
      await made(() => {
        const value = {};
        context.run(() => {
          variable.set(value);
          variable.set({});
        });
        return value;
      }),
    );
    assert.equal(context.size, 1);
  });

  it("memory: a value that reset() took away is collected, though Context and token are held", async () => {
    const context = new Context();
    const tokens: unknown[] = [];
    await assertCollected(
      await made(() => {
        const value = {};
        context.run(() => {
          const token = variable.set(value);
          variable.reset(token);
          tokens.push(token);
        });
        return value;
      }),
    );
    assert.deepEqual([context.size, tokens.length], [0, COUNT]);
  });

  it("memory: a value of an isolated() call is collected, though the function is held", async () => {
    const call = isolated(async () => {
      const value = {};
      variable.set(value);
      await turn();
      return value;
    });
    await assertCollected(await made(call));
    assert.equal(typeof call, "function");
  });

  it("memory: Contexts are collected, with copies and after having been run", async () => {
    await assertCollected(
      await made(async () => {
        const context = copyContext();
        await context.run(async () => {
          variable.set({});
          await turn();
        });
        return context;
      }),
    );
  });

  it("memory: variables are collected when no Context holds them, also after having remembered a value", async () => {
    await assertCollected(
      await made(() => {
        const own = new ContextVar<object>("own");
        new Context().run(() => {
          own.set({});
          own.get();
        });
        own.get(undefined);
        return own;
      }),
    );
  });

  it("memory: values that hold their own Context, variable and token are collected", async () => {
    await assertCollected(
      await made(() => {
        const own = new ContextVar<object>("own");
        const context = new Context();
        const value: Record<string, unknown> = { own, context };
        value["token"] = context.run(() => own.set(value));
        return value;
      }),
    );
  });
});
