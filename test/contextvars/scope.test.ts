/** The scoped flow, the seam of contextvars/opentelemetry and contextvars/async-context. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Context, ContextVar, copyContext, isolated, RuntimeError, type Token, ValueError } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import fc from "fast-check";
import { currentFlow } from "#dist/contextvars/current.js";
import { attachScoped, runScoped } from "#dist/contextvars/scope.js";
import { keyOf } from "../support/internals.ts";
import { places } from "../support/places.ts";

const scoped = new ContextVar<string>("scoped", { default: "none" });
const other = new ContextVar<string>("other", { default: "none" });

function within<R>(value: string, callable: () => R, variable = scoped): R {
  return runScoped(keyOf(variable), value, callable, undefined, []);
}

function attach(value: string): () => void {
  return attachScoped(keyOf(scoped), value);
}

/** Every place, and one inside a scope of another variable in each. */
const everywhere = places.flatMap(({ place, inPlace }) => [
  { place, inPlace },
  {
    place: `${place}, in a scope of another variable`,
    inPlace: <R>(callable: () => R): R => inPlace(() => within("around", callable, new ContextVar<string>("around"))),
  },
]);

for (const { place, inPlace } of everywhere) {
  describe(`runScoped() ${place}`, () => {
    it("runScoped() passes this, arguments, result and errors, and restores the value", () => {
      inPlace(() => {
        const result = runScoped(
          keyOf(scoped),
          "a",
          function (this: unknown, ...args: unknown[]) {
            return [this, ...args, scoped.get()];
          },
          "this",
          [1, 2],
        );
        assert.deepEqual(result, ["this", 1, 2, "a"]);
        const error = new Error("out");
        assert.throws(
          () =>
            within("b", () => {
              throw error;
            }),
          error,
        );
        assert.equal(scoped.get(), "none");
      });
    });

    it("runScoped() shows the value to all that the function starts, and to nothing else", async () => {
      await inPlace(async () => {
        const seen: string[] = [];
        const done = within("a", async () => {
          seen.push(scoped.get());
          await null;
          seen.push(scoped.get());
          await within("b", async () => {
            await delay(1);
            seen.push(scoped.get());
          });
          await new Promise<void>((resolve) => setTimeout(resolve, 1));
          seen.push(scoped.get());
          await asyncio.createTask(async () => seen.push(scoped.get()));
          await new Promise<void>((resolve) => {
            asyncio.getRunningLoop().callSoon(() => {
              seen.push(scoped.get());
              resolve();
            });
          });
        });
        assert.equal(scoped.get(), "none");
        await null;
        assert.equal(scoped.get(), "none");
        await done;
        assert.equal(scoped.get(), "none");
        assert.deepEqual(seen, ["a", "a", "b", "a", "a", "a"]);
      });
    });

    it("runScoped() leaves to the caller what the function sets in other variables before it returns", () => {
      inPlace(() => {
        other.set("before");
        within("a", () => {
          assert.equal(other.get(), "before");
          within("b", () => other.set("inside"));
          assert.equal(other.get(), "inside");
          assert.equal(scoped.get(), "a");
        });
        assert.equal(other.get(), "inside");
        assert.equal(scoped.get(), "none");
        assert.equal(copyContext().has(scoped), false);
      });
    });

    it("runScoped() has tokens work across its borders", () => {
      inPlace(() => {
        const outside = other.set("outside");
        const inside = within("a", () => {
          const token = other.set("inside");
          other.reset(outside);
          assert.equal(other.get(), "none");
          return token;
        });
        other.reset(inside);
        assert.equal(other.get(), "outside");
      });
    });

    it("runScoped() leaves a trace in a copy of the Context, which can be run anywhere", () => {
      inPlace(() => {
        const copy = within("a", () => copyContext());
        const wrapped = within("b", () => isolated(() => scoped.get()));
        assert.equal(
          copy.run(() => scoped.get()),
          "a",
        );
        assert.equal(
          copy.copy().run(() => within("c", () => scoped.get())),
          "c",
        );
        assert.equal(
          copy.run(() => scoped.get()),
          "a",
        );
        assert.equal(wrapped(), "b");
        assert.equal(
          within("d", () => copy.run(() => scoped.get())),
          "a",
        );
      });
    });

    it("attachScoped() shows the value from there on, until it is detached", async () => {
      await inPlace(async () => {
        const seen: string[] = [];
        await new Promise<void>((resolve) => {
          setTimeout(async () => {
            const detach = attach("a");
            other.set("set");
            seen.push(scoped.get(), other.get());
            await delay(1);
            seen.push(scoped.get(), other.get());
            detach();
            seen.push(scoped.get(), other.get());
            detach();
            await null;
            seen.push(scoped.get(), other.get());
            resolve();
          }, 1);
        });
        assert.deepEqual(seen, ["a", "set", "a", "set", "none", "set", "none", "set"]);
        assert.equal(scoped.get(), "none");
      });
    });

    it("attachScoped() is undone once, and only where the attached value is current", () => {
      inPlace(() => {
        const first = attach("a");
        const second = attach("b");
        first();
        assert.equal(scoped.get(), "b");
        within("c", () => {
          second();
          assert.equal(scoped.get(), "c");
        });
        second();
        assert.equal(scoped.get(), "a");
        second();
        first();
        assert.equal(scoped.get(), "none");
      });
    });

    it("attachScoped() inside runScoped() ends with it", () => {
      inPlace(() => {
        within("a", () => {
          attach("b");
          other.set("kept");
          assert.equal(scoped.get(), "b");
        });
        assert.equal(scoped.get(), "none");
        assert.equal(other.get(), "kept");
      });
    });
  });
}

describe("runScoped() in a task", () => {
  it("runScoped() leaves to the task what the function sets after an await", async () => {
    await asyncio.createTask(async () => {
      await within("a", async () => {
        await asyncio.sleep(0);
        other.set("inside");
        assert.equal(scoped.get(), "a");
      });
      assert.equal(other.get(), "inside");
      assert.equal(scoped.get(), "none");
    });
  });

  it("runScoped() shows what the task sets meanwhile", async () => {
    await asyncio.createTask(async () => {
      const inner = within("a", async () => {
        await asyncio.sleep(0.001);
        return [scoped.get(), other.get()];
      });
      other.set("meanwhile");
      assert.deepEqual(await inner, ["a", "meanwhile"]);
    });
  });

  it("runScoped() keeps the task, and the Context that is entered", async () => {
    const context = copyContext();
    const task = asyncio.createTask(
      async () => {
        await within("a", async () => {
          assert.equal(asyncio.currentTask(), task);
          assert.throws(() => context.run(() => {}), RuntimeError);
          await null;
          assert.equal(asyncio.currentTask(), task);
          assert.throws(() => context.run(() => {}), RuntimeError);
          assert.equal(
            within("b", () => within("c", () => currentFlow().outer?.outer ?? null)),
            null,
          );
        });
      },
      { context },
    );
    await task;
  });

  it("runScoped() finds every Context that is entered around it, while it is entered", async () => {
    const [a, b] = [new Context(), new Context()];
    const later = a.run(() =>
      within("a", () =>
        b.run(() =>
          within("b", async () => {
            assert.throws(() => a.run(() => {}), RuntimeError);
            assert.throws(() => b.run(() => {}), RuntimeError);
            await null;
            assert.throws(() => b.run(() => {}), RuntimeError);
            assert.equal(
              a.run(() => scoped.get()),
              "none",
            );
          }),
        ),
      ),
    );
    await later;
  });

  it("runScoped() refuses a token of another Context, as ever", () => {
    const token = new Context().run(() => within("a", () => other.set("x")));
    new Context().run(() => {
      assert.throws(() => within("a", () => other.reset(token)), ValueError);
      assert.throws(() => other.reset(token), ValueError);
    });
  });

  it("scopes that are entered ever deeper by code that one of them started form no chain", async () => {
    await asyncio.createTask(async () => {
      let depth = 0;
      await new Promise<void>((resolve) => {
        const poll = (): void =>
          within(String(depth), () => {
            depth += 1;
            let links = 0;
            for (let flow = currentFlow().outer; flow !== null; flow = flow.outer) {
              links += 1;
            }
            assert.ok(links <= 1, `${links} flows behind the current one`);
            if (depth === 50) {
              resolve();
            } else {
              setImmediate(poll);
            }
          });
        poll();
      });
    });
  });

  it("attachScoped() in one task or callback never reaches another", async () => {
    const seen: string[] = [];
    await asyncio.createTask(async () => {
      await asyncio.gather(
        ["a", "b"].map((name) => async () => {
          attach(name);
          await asyncio.sleep(0.001);
          seen.push(scoped.get());
        }),
      );
      await Promise.all(
        ["c", "d"].map(
          (name) =>
            new Promise<void>((resolve) => {
              setTimeout(() => {
                attach(name);
                setTimeout(() => {
                  seen.push(scoped.get());
                  resolve();
                }, 1);
              }, 1);
            }),
        ),
      );
      seen.push(scoped.get());
    });
    assert.deepEqual(seen.sort(), ["a", "b", "c", "d", "none"]);
  });
});

describe("what one callback enters, the next one of the same resource never sees", () => {
  const entries: readonly [string, () => void][] = [
    ["attachScoped()", () => attach("left")],
    ["attachScoped() twice", () => void [attach("left"), attach("left too")]],
    ["attachScoped() in Context.run()", () => void new Context().run(() => attach("left"))],
    ["attachScoped() before and in Context.run()", () => void [attach("left"), new Context().run(() => attach("x"))]],
    ["attachScoped() in and after Context.run()", () => void [new Context().run(() => attach("x")), attach("left")]],
    ["attachScoped() in runScoped()", () => void within("a", () => attach("left"))],
    ["set()", () => other.set("left")],
    ["set() in runScoped()", () => void within("a", () => other.set("left"))],
    ["set() in runScoped() in runScoped()", () => void within("a", () => within("b", () => other.set("left")))],
    ["set() after runScoped()", () => void [within("a", () => other.set("x")), other.set("left")]],
  ];
  for (const { place, inPlace } of places) {
    for (const [what, enter] of entries) {
      it(`${what} in a tick of an interval ${place}`, async () => {
        const ticks: string[][] = [];
        // Inside a Context, callbacks share what is set with set(), and with nothing else.
        const isShared = place.startsWith("inside") && what.startsWith("set()");
        await inPlace(
          () =>
            new Promise<void>((resolve) => {
              const interval = setInterval(() => {
                ticks.push([scoped.get(), isShared ? "none" : other.get()]);
                enter();
                if (ticks.length === 3) {
                  clearInterval(interval);
                  resolve();
                }
              }, 1);
            }),
        );
        assert.deepEqual(ticks, Array(3).fill(["none", "none"]));
      });
    }
  }
});

/** One step of a random program, on one of three variables; those with steps inside have a block. */
type Step =
  | { readonly kind: "set" | "reset"; readonly variable: number; readonly value: string }
  | { readonly kind: "scope"; readonly variable: number; readonly value: string; readonly steps: readonly Step[] };

describe("runScoped() beside a model", () => {
  const variables = [0, 1, 2].map((i) => new ContextVar<string>(`v${i}`, { default: "none" }));
  const { steps } = fc.letrec<{ step: Step; steps: Step[] }>((tie) => ({
    step: fc.oneof(
      { maxDepth: 4 },
      fc.record({
        kind: fc.constantFrom("set", "reset"),
        variable: fc.nat({ max: 2 }),
        value: fc.string({ minLength: 1, maxLength: 1 }),
      }),
      // The first variable is never scoped, the others are never set.
      fc.record({
        kind: fc.constant("scope"),
        variable: fc.integer({ min: 1, max: 2 }),
        value: fc.string({ minLength: 1, maxLength: 1 }),
        steps: tie("steps"),
      }),
    ) as fc.Arbitrary<Step>,
    steps: fc.array(tie("step"), { maxLength: 6 }),
  }));

  for (const { place, inPlace } of places) {
    it(`variables have the values of a stack of scopes over one set of values, ${place}`, () => {
      fc.assert(
        fc.property(steps, (program) => {
          inPlace(() => perform(program, ["none", "none", "none"], []));
        }),
        { numRuns: 300 },
      );
    });
  }

  function perform(program: readonly Step[], model: string[], tokens: [Token<string>, string][]): void {
    for (const step of program) {
      const variable = variables[step.kind === "scope" ? step.variable : 0] as ContextVar<string>;
      if (step.kind === "scope") {
        const before = model[step.variable] as string;
        model[step.variable] = step.value;
        within(step.value, () => perform(step.steps, model, tokens), variable);
        model[step.variable] = before;
      } else if (step.kind === "set") {
        tokens.push([variable.set(step.value), model[0] as string]);
        model[0] = step.value;
      } else {
        const [token, before] = tokens.pop() ?? [];
        if (token !== undefined && before !== undefined) {
          variable.reset(token);
          model[0] = before;
        }
      }
      assert.deepEqual(
        variables.map((each) => each.get()),
        model,
      );
    }
  }
});
