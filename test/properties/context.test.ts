/** Contexts against a model: a Map for each of them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Context, ContextVar, copyContext, type Token } from "contextvars";
import fc from "fast-check";
import { turn } from "../support/latch.ts";
import { inEmptyContext, inOwnFlow } from "../support/places.ts";

const SEED = 20261121;
const variables = Array.from({ length: 40 }, (_, i) => new ContextVar<number>(`v${i}`));
const variable = fc.constantFrom(...variables);
const assignments = fc.array(fc.tuple(variable, fc.nat(5)), { maxLength: 60, size: "max" });

type Assignments = readonly (readonly [ContextVar<number>, number])[];

function contextWith(pairs: Assignments): Context {
  const context = new Context();
  context.run(() => {
    for (const [key, value] of pairs) {
      key.set(value);
    }
  });
  return context;
}

/** Asserts that all ways to look into the Context agree with the model. */
function assertSame(context: Context, model: ReadonlyMap<ContextVar<number>, number>): void {
  assert.equal(context.size, model.size);
  assert.deepEqual(new Map(context.items()), new Map<unknown, unknown>(model));
  assert.deepEqual([...context], context.keys());
  assert.deepEqual(
    context.values(),
    context.keys().map((key) => context.get(key)),
  );
  for (const key of variables) {
    assert.equal(context.has(key), model.has(key));
    assert.equal(context.get(key, -1), model.get(key) ?? -1);
  }
}

describe("Context against a Map", () => {
  it("Context holds what was set last, and a copy what was set when it was made", () => {
    fc.assert(
      fc.property(assignments, assignments, (before, after) => {
        const context = contextWith(before);
        const copy = context.copy();
        context.run(() => {
          for (const [key, value] of after) {
            key.set(value);
          }
        });
        assertSame(copy, new Map(before));
        assertSame(context, new Map([...before, ...after]));
      }),
      { seed: SEED, numRuns: 100 },
    );
  });

  it("Context.equals() is true if and only if the Maps are the same, both ways round", () => {
    fc.assert(
      fc.property(
        assignments,
        fc.nat(3),
        fc.array(fc.tuple(variable, fc.nat(5)), { maxLength: 1 }),
        (pairs, at, more) => {
          const [one, other] = [contextWith(pairs), contextWith([...pairs.slice(at), ...pairs.slice(0, at), ...more])];
          const [first, second] = [new Map(one.items()), new Map(other.items())];
          const same = first.size === second.size && [...first].every(([key, value]) => second.get(key) === value);
          assert.equal(one.equals(other), same);
          assert.equal(other.equals(one), same);
          assert.equal(one.equals(one.copy()), true);
        },
      ),
      { seed: SEED, numRuns: 200 },
    );
  });

  it("ContextVar.reset() of all tokens, the newest first, brings everything back", () => {
    fc.assert(
      fc.property(assignments, assignments, (before, during) => {
        contextWith(before).run(() => {
          const unchanged = copyContext();
          const tokens = during.map(([key, value]): [ContextVar<number>, Token<number>] => [key, key.set(value)]);
          for (const [key, token] of tokens.reverse()) {
            key.reset(token);
          }
          assert.equal(copyContext().equals(unchanged), true);
        });
      }),
      { seed: SEED, numRuns: 100 },
    );
  });

  it("ContextVar.reset() in any order brings each value back that its token remembers", () => {
    fc.assert(
      fc.property(assignments, fc.infiniteStream(fc.nat(100)), (pairs, order) => {
        inEmptyContext(() => {
          const model = new Map<ContextVar<number>, number>();
          const left = pairs.map(([key, value]) => {
            const entry = { key, before: model.get(key), token: key.set(value) };
            model.set(key, value);
            return entry;
          });
          while (left.length > 0) {
            const [entry] = left.splice((order.next().value as number) % left.length, 1);
            assert.ok(entry);
            entry.key.reset(entry.token);
            if (entry.before === undefined) {
              model.delete(entry.key);
            } else {
              model.set(entry.key, entry.before);
            }
            assertSame(copyContext(), model);
          }
        });
      }),
      { seed: SEED, numRuns: 30 },
    );
  });

  for (const [where, start] of [
    ["each in a Context", inEmptyContext],
    ["each in its own flow outside", inOwnFlow],
  ] as const) {
    it(`ContextVar keeps concurrent flows apart, ${where}, whatever they set between their awaits`, async () => {
      const flows = fc.array(fc.array(fc.option(fc.tuple(variable, fc.nat(5)), { nil: null }), { maxLength: 12 }), {
        maxLength: 6,
      });
      await fc.assert(
        fc.asyncProperty(flows, async (all) => {
          // Null stands for an await.
          const play = async (steps: (typeof all)[number]): Promise<void> => {
            const model = new Map<ContextVar<number>, number>();
            for (const step of steps) {
              if (step === null) {
                await turn();
              } else {
                step[0].set(step[1]);
                model.set(...step);
              }
              assertSame(copyContext(), model);
            }
          };
          await Promise.all(all.map((steps) => start(() => play(steps))));
        }),
        { seed: SEED, numRuns: 60 },
      );
    });
  }
});

/** The cases of CPython's HamtTest that are about the mapping as a whole; the rest is in `mapping.test.ts`. */
describe("HamtTest, through Contexts", () => {
  const pairs = variables.map((key, i) => [key, i] as const);

  it("test_hamt_eq_1: two Contexts are equal step by step as they get the same content", () => {
    const [one, other] = [new Context(), new Context()];
    assert.equal(one.equals(other), true);
    for (const [key, value] of pairs) {
      one.run(() => key.set(value));
      assert.equal(one.equals(other), false);
      other.run(() => key.set(-1));
      assert.equal(one.equals(other), false);
      other.run(() => key.set(value));
      assert.equal(one.equals(other), true);
    }
  });

  it("test_hamt_keys_1: keys() and the iteration agree, and give each variable once", () => {
    for (let size = 0; size <= pairs.length; size++) {
      const context = contextWith(pairs.slice(0, size));
      assert.deepEqual([...context], context.keys());
      assert.deepEqual(new Set(context.keys()), new Set(variables.slice(0, size)));
      assert.equal(context.keys().length, size);
    }
  });

  it("test_hamt_getitem_1: getItem() gives the value, or raises KeyError", () => {
    const context = contextWith(pairs.slice(0, 20));
    pairs.forEach(([key, value], i) => {
      if (i < 20) {
        assert.equal(context.getItem(key), value);
      } else {
        assert.throws(() => context.getItem(key), { name: "KeyError" });
      }
    });
  });
});
