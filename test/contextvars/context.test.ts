import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { Context, ContextVar, copyContext, KeyError, LookupError, RuntimeError } from "contextvars";
import { inEmptyContext, places } from "../support/places.ts";

/** A Context in which the variables have the values. */
function contextWith(...pairs: readonly (readonly [ContextVar<never>, unknown])[]): Context {
  const context = new Context();
  context.run(() => {
    for (const [variable, value] of pairs) {
      variable.set(value as never);
    }
  });
  return context;
}

/** Distinct variables, more than lie flat in the map when asked for. */
function variables(count: number): ContextVar<number>[] {
  return Array.from({ length: count }, (_, i) => new ContextVar<number>(`v${i}`));
}

describe("new Context()", () => {
  it("new Context() is empty, whatever is current", () => {
    inEmptyContext(() => {
      const variable = new ContextVar<number>("v");
      variable.set(1);
      const context = new Context();
      assert.equal(context.size, 0);
      assert.equal(
        context.run(() => variable.get(0)),
        0,
      );
    });
  });

  it("new Context() raises TypeError when it gets arguments, undefined among them", () => {
    const Unchecked = Context as new (...args: unknown[]) => Context;
    for (const args of [[1], [undefined], [{}], [new Context(), 2]]) {
      assert.throws(() => new Unchecked(...args), { name: "TypeError", message: /does not accept any arguments/ });
    }
  });

  it("Context raises TypeError when a subclass is constructed", () => {
    class Special extends Context {}
    assert.throws(() => new Special(), { name: "TypeError", message: /'Context' is not an acceptable base type/ });
  });

  it("Context() raises TypeError when called without new", () => {
    assert.throws(() => (Context as unknown as () => void)(), TypeError);
  });
});

for (const { place, inPlace } of places) {
  describe(`Context.run() ${place}`, () => {
    it("Context.run() passes the arguments and returns the result", () => {
      inPlace(() => {
        const context = new Context();
        const args = [1, "two", { three: 3 }] as const;
        assert.deepEqual(
          context.run((...all: readonly unknown[]) => all, ...args),
          args,
        );
        assert.equal(
          context.run((a: number, b: number) => a + b, 1, 2),
          3,
        );
        assert.equal(
          context.run(() => undefined),
          undefined,
        );
      });
    });

    it("Context.run() lets errors out as they are, and leaves the Context", () => {
      inPlace(() => {
        const context = new Context();
        const variable = new ContextVar<number>("v");
        for (const error of [new Error("mine"), "a string", undefined]) {
          let caught: unknown = "nothing";
          try {
            context.run(() => {
              variable.set(1);
              throw error;
            });
          } catch (e) {
            caught = e;
          }
          assert.equal(caught, error);
        }
        assert.equal(variable.get(0), 0);
        assert.equal(context.get(variable), 1, "what was set before the error stays in the Context");
        assert.equal(
          context.run(() => variable.get()),
          1,
        );
      });
    });

    it("Context.run() makes the Context a live view of what runs in it", () => {
      inPlace(() => {
        const context = new Context();
        const variable = new ContextVar("v", { default: 0 });
        context.run(() => {
          assert.equal(variable.get(), 0);
          assert.equal(context.get(variable), undefined, "a default is not part of the mapping");
          variable.set(42);
          assert.equal(context.get(variable), 42);
          assert.equal(context.size, 1);
        });
        assert.equal(context.get(variable), 42);
        assert.equal(variable.get(), 0);
      });
    });

    it("Context.run() keeps values from one call to the next", () => {
      inPlace(() => {
        const context = new Context();
        const variable = new ContextVar("v", { default: 0 });
        const next = (): number => {
          variable.set(variable.get() + 1);
          return variable.get();
        };
        assert.deepEqual([context.run(next), context.run(next), context.run(next)], [1, 2, 3]);
      });
    });

    it("Context.run() of another Context inside hides the values and brings them back", () => {
      inPlace(() => {
        const [outer, inner] = [new Context(), new Context()];
        const variable = new ContextVar<string>("v");
        outer.run(() => {
          variable.set("outer");
          inner.run(() => {
            assert.equal(variable.get("unset"), "unset");
            variable.set("inner");
          });
          assert.equal(variable.get(), "outer");
        });
        assert.equal(outer.getItem(variable), "outer");
        assert.equal(inner.getItem(variable), "inner");
      });
    });

    it("Context.run() raises RuntimeError when the Context is entered, at any depth", () => {
      inPlace(() => {
        const [a, b, c] = [new Context(), new Context(), new Context()];
        const refused = {
          name: "RuntimeError",
          code: "ERR_CONTEXT_ENTERED",
          message: /^cannot enter context: <_contextvars.Context object at 0x[0-9a-f]+> is already entered/,
        };
        a.run(() => {
          assert.throws(() => a.run(() => {}), refused);
          b.run(() => {
            assert.throws(() => a.run(() => {}), refused);
            c.run(() => {
              assert.throws(() => a.run(() => {}), refused);
              assert.throws(() => b.run(() => {}), refused);
            });
            c.run(() => {});
          });
          b.run(() => {});
        });
        a.run(() => {});
      });
    });

    it("Context.run() does not call the function when it raises RuntimeError", () => {
      inPlace(() => {
        const context = new Context();
        let calls = 0;
        context.run(() => {
          assert.throws(() => context.run(() => calls++), RuntimeError);
        });
        assert.equal(calls, 0);
      });
    });

    it("Context.run() may enter a Context again after the function threw", () => {
      inPlace(() => {
        const context = new Context();
        assert.throws(() =>
          context.run(() => {
            throw new Error("out");
          }),
        );
        assert.equal(
          context.run(() => "in again"),
          "in again",
        );
      });
    });

    it("Context.run() may enter a copy of the entered Context", () => {
      inPlace(() => {
        const context = new Context();
        const variable = new ContextVar<number>("v");
        context.run(() => {
          variable.set(1);
          const copy = context.copy();
          copy.run(() => {
            assert.equal(variable.get(), 1);
            variable.set(2);
          });
          assert.equal(variable.get(), 1);
          assert.equal(copy.get(variable), 2);
        });
      });
    });

    it("Context.run() keeps the whole body of an async function in the Context", async () => {
      await inPlace(async () => {
        const context = new Context();
        const variable = new ContextVar("v", { default: 0 });
        const running = context.run(async () => {
          variable.set(1);
          await null;
          variable.set(variable.get() + 1);
          await new Promise((resolve) => setTimeout(resolve, 1));
          variable.set(variable.get() + 1);
          return variable.get();
        });
        assert.equal(context.get(variable), 1, "the first part has run");
        assert.equal(variable.get(), 0);
        assert.equal(await running, 3);
        assert.equal(context.get(variable), 3);
        assert.equal(variable.get(), 0);
      });
    });
  });

  describe(`copyContext() ${place}`, () => {
    it("copyContext() is a snapshot: later changes show in neither direction", () => {
      inPlace(() => {
        const variable = new ContextVar<number>("v");
        variable.set(1);
        const copy = copyContext();
        assert.ok(copy instanceof Context);
        variable.set(2);
        assert.equal(copy.get(variable), 1);
        copy.run(() => variable.set(3));
        assert.equal(variable.get(), 2);
        assert.equal(copy.get(variable), 3);
      });
    });

    it("copyContext() keeps its values when the tokens of the original are used", () => {
      inPlace(() => {
        const variable = new ContextVar<number>("v");
        const token = variable.set(1);
        const copy = copyContext();
        variable.reset(token);
        assert.equal(copy.getItem(variable), 1);
        assert.equal(copyContext().has(variable), false);
      });
    });

    it("copyContext() gives a new object each time", () => {
      inPlace(() => {
        assert.notEqual(copyContext(), copyContext());
        assert.equal(copyContext().equals(copyContext()), true);
      });
    });
  });
}

describe("Context.run() with something that is no function", () => {
  it("Context.run() raises TypeError when the function is missing", () => {
    const context = new Context();
    const run = context.run.bind(context) as unknown as () => void;
    assert.throws(() => run(), { name: "TypeError", message: /missing 1 required/ });
  });

  for (const [value, shown] of [
    [undefined, "undefined"],
    [null, "null"],
    [42, "42"],
    ["name", "'name'"],
    [Promise.resolve(), "<Promise object at 0x[0-9a-f]+>"],
  ] as const) {
    it(`Context.run() raises TypeError and names the value when it is ${shown}`, () => {
      const message = new RegExp(`needs a function, got ${shown}`);
      assert.throws(() => new Context().run(value as never), { name: "TypeError", message });
    });
  }
});

describe("Context.run() without its Context", () => {
  it("Context.run() raises TypeError and does not call the function", () => {
    const { run } = new Context();
    const call = (): unknown => run(() => assert.fail("called"));
    assert.throws(call, { name: "TypeError", message: /^Context\.run\(\) was called without its Context: / });
  });
});

describe("Context.run() and asynchronous code", () => {
  it("Context.run() raises RuntimeError in a continuation of the same Context", async () => {
    const context = new Context();
    await context.run(async () => {
      await null;
      assert.throws(() => context.run(() => {}), { code: "ERR_CONTEXT_ENTERED" });
      await new Promise((resolve) => setTimeout(resolve, 1));
      assert.throws(() => context.run(() => {}), { code: "ERR_CONTEXT_ENTERED" });
    });
  });

  it("Context.run() raises RuntimeError when a continuation of A runs B, which runs A", async () => {
    const [a, b] = [new Context(), new Context()];
    await a.run(async () => {
      await null;
      b.run(() => {
        assert.throws(() => a.run(() => {}), { code: "ERR_CONTEXT_ENTERED" });
      });
      // The same in the continuation of B: A's part is over, so A is not entered there.
      await b.run(async () => {
        await null;
        assert.equal(
          a.run(() => "legal"),
          "legal",
        );
        assert.throws(() => b.run(() => {}), { code: "ERR_CONTEXT_ENTERED" });
      });
    });
  });

  it("Context.run() raises RuntimeError in callbacks that the Context's code registered", async () => {
    const context = new Context();
    const outcomes = await context.run(() => {
      const tryIt = (): string => {
        try {
          return context.run(() => "entered");
        } catch (error) {
          return (error as RuntimeError).code;
        }
      };
      return Promise.all([
        new Promise((resolve) => setTimeout(() => resolve(tryIt()), 1)),
        new Promise((resolve) => setImmediate(() => resolve(tryIt()))),
        new Promise((resolve) => queueMicrotask(() => resolve(tryIt()))),
        Promise.resolve().then(tryIt),
      ]);
    });
    assert.deepEqual(outcomes, Array(4).fill("ERR_CONTEXT_ENTERED"));
  });

  it("Context.run() may enter a Context while code in it is suspended, from another flow", async () => {
    const context = new Context();
    const variable = new ContextVar<string>("v");
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const suspended = context.run(async () => {
      variable.set("first");
      await gate;
      return variable.get();
    });
    const other = context.run(async () => {
      assert.equal(variable.get(), "first");
      await null;
      variable.set("second");
    });
    await other;
    context.run(() => assert.equal(variable.get(), "second"));
    go();
    assert.equal(await suspended, "second", "both share the one Context");
  });

  it("Context.run() may enter a Context whose async function another Context's code awaits", async () => {
    const [a, b] = [new Context(), new Context()];
    const variable = new ContextVar<string>("v");
    await a.run(async () => {
      variable.set("a");
      await b.run(async () => {
        variable.set("b");
        await null;
        assert.equal(variable.get(), "b");
      });
      assert.equal(variable.get(), "a");
    });
  });

  it("Context.run() shows the caller after an await what the awaited function set, as in Python", async () => {
    const variable = new ContextVar("v", { default: "unset" });
    async function callee(): Promise<void> {
      await null;
      variable.set("by callee");
      await null;
    }
    await inEmptyContext(async () => {
      await callee();
      assert.equal(variable.get(), "by callee");
    });
  });
});

describe("Context as a mapping", () => {
  for (const count of [0, 1, 3, 8, 9, 40]) {
    it(`Context has, get, getItem, keys, values, items and size agree for ${count} variables`, () => {
      const all = variables(count);
      const missing = new ContextVar<number>("missing", { default: 1 });
      const context = contextWith(...all.map((variable, i) => [variable as ContextVar<never>, i] as const));
      assert.equal(context.size, count);
      all.forEach((variable, i) => {
        assert.equal(context.has(variable), true);
        assert.equal(context.get(variable), i);
        assert.equal(context.get(variable, -1), i);
        assert.equal(context.getItem(variable), i);
      });
      assert.equal(context.has(missing), false);
      assert.equal(context.get(missing), undefined);
      assert.equal(context.get(missing, null), null);
      assert.deepEqual(new Set(context.keys()), new Set(all));
      assert.equal(context.keys().length, count);
      assert.deepEqual(new Set(context.values()), new Set(all.keys()));
      assert.deepEqual(
        context.items(),
        context.keys().map((variable, i) => [variable, context.values()[i]]),
      );
      assert.deepEqual([...context], context.keys());
    });
  }

  it("Context.getItem() throws a KeyError if the variable is not set, even if it has a default", () => {
    const context = new Context();
    const variable = new ContextVar("v", { default: 1 });
    assert.throws(
      () => context.getItem(variable),
      (error) => {
        assert.ok(error instanceof KeyError && error instanceof LookupError);
        assert.equal(error.name, "KeyError");
        assert.equal(error.code, "ERR_CONTEXT_KEY");
        assert.equal(error.key, variable);
        assert.ok(error.message.startsWith(`${variable} is not set in ${context}`));
        return true;
      },
    );
  });

  it("Context.get() gives a stored undefined, not the fallback", () => {
    const variable = new ContextVar<undefined>("v");
    const context = contextWith([variable as ContextVar<never>, undefined]);
    assert.equal(context.get(variable, "fallback"), undefined);
    assert.equal(context.has(variable), true);
    assert.equal(context.getItem(variable), undefined);
  });

  for (const [value, shown] of [
    [1, "1"],
    ["v", "'v'"],
    [undefined, "undefined"],
    [null, "null"],
    [{}, "\\{\\}"],
    [new Context(), "<_contextvars.Context object at 0x[0-9a-f]+>"],
  ] as const) {
    it(`Context raises TypeError and names the key when it is ${shown}`, () => {
      const context = new Context();
      const expected = { name: "TypeError", message: new RegExp(`a ContextVar key was expected, got ${shown}`) };
      assert.throws(() => context.has(value as never), expected);
      assert.throws(() => context.get(value as never), expected);
      assert.throws(() => context.get(value as never, 1), expected);
      assert.throws(() => context.getItem(value as never), expected);
    });
  }

  it("Context can be iterated while variables are set: the iteration sees a snapshot", () => {
    const all = variables(6);
    const context = new Context();
    context.run(() => {
      for (const variable of all.slice(0, 3)) {
        variable.set(0);
      }
      const seen: unknown[] = [];
      for (const variable of context) {
        seen.push(variable);
        all.forEach((other) => {
          other.set(1);
        });
      }
      assert.equal(seen.length, 3);
      assert.equal(context.size, 6);
    });
  });

  it("Context gives arrays that are the caller's own", () => {
    const variable = new ContextVar<number>("v");
    const context = contextWith([variable as ContextVar<never>, 1]);
    context.keys().pop();
    context.values().pop();
    const [pair] = context.items();
    assert.ok(pair);
    pair[1] = 2;
    assert.equal(context.size, 1);
    assert.equal(context.get(variable), 1);
  });

  it("Context.keys() is the iteration, and the iterator is iterable itself", () => {
    const context = contextWith([new ContextVar("v") as ContextVar<never>, 1]);
    const iterator = context[Symbol.iterator]();
    assert.deepEqual([...(iterator as Iterable<unknown>)], context.keys());
    assert.deepEqual([...(iterator as Iterable<unknown>)], [], "it is used up");
  });
});

describe("Context.copy()", () => {
  it("Context.copy() is a new and equal Context that goes its own way", () => {
    const [one, two] = variables(2) as [ContextVar<number>, ContextVar<number>];
    const context = contextWith([one as ContextVar<never>, 1]);
    const copy = context.copy();
    assert.ok(copy instanceof Context);
    assert.notEqual(copy, context);
    assert.equal(copy.equals(context), true);
    context.run(() => two.set(2));
    copy.run(() => one.set(10));
    assert.deepEqual([context.get(one), context.get(two)], [1, 2]);
    assert.deepEqual([copy.get(one), copy.get(two)], [10, undefined]);
  });

  it("Context.copy() of a running Context is a snapshot of the moment", () => {
    const variable = new ContextVar<number>("v");
    const context = new Context();
    context.run(() => {
      variable.set(1);
      const copy = context.copy();
      variable.set(2);
      assert.equal(copy.get(variable), 1);
    });
  });
});

describe("Context.equals()", () => {
  const [a, b] = variables(2) as [ContextVar<never>, ContextVar<never>];

  it("Context.equals() compares variables and values, not how they came to be", () => {
    assert.equal(new Context().equals(new Context()), true);
    assert.equal(contextWith([a, 1], [b, 2]).equals(contextWith([b, 2], [a, 1])), true);
    assert.equal(contextWith([a, 1], [b, 2], [a, 3]).equals(contextWith([a, 3], [b, 2])), true);
    assert.equal(contextWith([a, 1]).equals(contextWith([b, 1])), false);
    assert.equal(contextWith([a, 1]).equals(contextWith([a, 2])), false);
    assert.equal(contextWith([a, 1]).equals(contextWith([a, 1], [b, 2])), false);
    assert.equal(contextWith([a, 1], [b, 2]).equals(contextWith([a, 1])), false);
    assert.equal(contextWith([a, undefined]).equals(contextWith([b, undefined])), false);
  });

  it("Context.equals() compares values by ===, and NaN equals itself", () => {
    assert.equal(contextWith([a, Number.NaN]).equals(contextWith([a, Number.NaN])), true);
    assert.equal(contextWith([a, 0]).equals(contextWith([a, -0])), true);
    assert.equal(contextWith([a, 1]).equals(contextWith([a, "1"])), false);
    assert.equal(contextWith([a, []]).equals(contextWith([a, []])), false);
    const shared = {};
    assert.equal(contextWith([a, shared]).equals(contextWith([a, shared])), true);
  });

  it("Context.equals() calls no code of the values", () => {
    const hostile = {
      valueOf: () => assert.fail("valueOf was called"),
      equals: () => assert.fail("equals was called"),
    };
    assert.equal(contextWith([a, hostile]).equals(contextWith([a, { ...hostile }])), false);
  });

  it("Context.equals() is false for everything that is no Context", () => {
    for (const other of [undefined, null, 1, "context", {}, new Map(), [], { _map: 1 }]) {
      assert.equal(new Context().equals(other), false);
    }
  });

  it("Context.equals() works for maps that hold the same pairs in different layouts", () => {
    const all = variables(20) as ContextVar<never>[];
    const shrunk = contextWith(...all.map((variable) => [variable, 1] as const));
    const tokens = new Context();
    tokens.run(() => {
      const made = all.map((variable) => variable.set(1 as never));
      // Six pairs left of twenty lie in a trie still; six that were set lie flat.
      all.slice(6).forEach((variable, i) => {
        variable.reset(made[i + 6] as never);
      });
    });
    assert.equal(tokens.size, 6);
    const flat = contextWith(...all.slice(0, 6).map((variable) => [variable, 1] as const));
    assert.equal(tokens.equals(flat), true);
    assert.equal(flat.equals(tokens), true);
    assert.equal(shrunk.equals(flat), false);
  });
});

describe("Context as text", () => {
  it("Context prints as in Python, with String(), util.inspect() and in JSON", () => {
    const context = contextWith([new ContextVar("secret") as ContextVar<never>, "value"]);
    const text = String(context);
    assert.match(text, /^<_contextvars.Context object at 0x[0-9a-f]{12}>$/);
    assert.equal(inspect(context), text);
    assert.equal(JSON.stringify({ context }), JSON.stringify({ context: text }));
    assert.notEqual(String(context.copy()), text);
  });
});
