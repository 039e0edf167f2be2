/** Two installed copies of the package share one current Context. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as here from "contextvars";
import { importCopy } from "../support/copies.ts";
import { turn } from "../support/latch.ts";
import { places } from "../support/places.ts";

const { contextvars: there } = await importCopy();

describe("a second copy of the package", () => {
  it("a second copy of the package is another set of classes", () => {
    assert.notEqual(there.ContextVar, here.ContextVar);
    assert.notEqual(there.Context, here.Context);
    assert.equal(there.Token.MISSING, here.Token.MISSING);
  });

  for (const { place, inPlace } of places) {
    it(`a second copy of the package sees what the first one sets, and the reverse, ${place}`, async () => {
      await inPlace(async () => {
        const [mine, theirs] = [new here.ContextVar<string>("v"), new there.ContextVar<string>("v")];
        mine.set("mine");
        theirs.set("theirs");
        assert.equal(mine.get(), "mine", "the set() of the other copy keeps it");
        assert.deepEqual(new Set<unknown>(here.copyContext().keys()), new Set<unknown>([mine, theirs]));
        assert.deepEqual(new Set<unknown>(there.copyContext().keys()), new Set<unknown>([mine, theirs]));
        await turn();
        assert.deepEqual([mine.get(), theirs.get()], ["mine", "theirs"]);
      });
    });

    it(`a second copy of the package takes the other one's variables as keys ${place}`, () => {
      inPlace(() => {
        const [mine, theirs] = [new here.ContextVar<number>("v"), new there.ContextVar<number>("v")];
        mine.set(1);
        theirs.set(2);
        for (const context of [here.copyContext(), there.copyContext()]) {
          assert.equal(context.size, 2);
          assert.deepEqual([context.has(mine), context.has(theirs as never)], [true, true]);
          assert.deepEqual([context.get(mine), context.get(theirs as never)], [1, 2]);
          assert.deepEqual([context.getItem(mine), context.getItem(theirs as never)], [1, 2]);
          const other = new there.ContextVar<number>("other");
          assert.equal(context.get(other as never, "missing"), "missing");
          assert.throws(() => context.getItem(other as never), { name: "KeyError" });
        }
      });
    });

    it(`a second copy of the package compares its Contexts with the other one's ${place}`, () => {
      inPlace(() => {
        const variable = new here.ContextVar<number>("v");
        variable.set(1);
        const [mine, theirs] = [here.copyContext(), there.copyContext()];
        assert.equal(mine.equals(theirs), true);
        assert.equal(theirs.equals(mine), true);
        theirs.run(() => variable.set(2));
        assert.equal(mine.equals(theirs), false);
      });
    });

    it(`a second copy of the package runs Contexts that both see ${place}`, async () => {
      await inPlace(async () => {
        const variable = new here.ContextVar<string>("v");
        const [mine, theirs] = [new here.Context(), new there.Context()];
        await theirs.run(async () => {
          variable.set("inside");
          await null;
          assert.equal(variable.get(), "inside");
          assert.throws(() => theirs.run(() => {}), { code: "ERR_CONTEXT_ENTERED" });
          mine.run(() => {
            assert.equal(variable.get("unset"), "unset");
            assert.throws(() => theirs.run(() => {}), { code: "ERR_CONTEXT_ENTERED" });
            assert.throws(() => mine.run(() => {}), { code: "ERR_CONTEXT_ENTERED" });
          });
        });
        assert.equal(theirs.get(variable as never), "inside");
        assert.equal(variable.get("unset"), "unset");
      });
    });

    it(`a second copy of the package takes no tokens of the other one's variables ${place}`, () => {
      inPlace(() => {
        const [mine, theirs] = [new here.ContextVar<number>("v"), new there.ContextVar<number>("v")];
        const token = theirs.set(1);
        assert.throws(() => mine.reset(token as never), { name: "ValueError", code: "ERR_TOKEN_OTHER_VAR" });
        theirs.reset(token);
        assert.throws(() => mine.reset(token as never), { name: "RuntimeError", code: "ERR_TOKEN_USED" });
        assert.equal(theirs.get(0), 0);
      });
    });

    it(`a second copy of the package isolates calls from the first one's ${place}`, () => {
      inPlace(() => {
        const variable = new here.ContextVar("v", { default: 0 });
        const call = there.isolated((value: number) => {
          const before = variable.get();
          variable.set(value);
          return before;
        });
        assert.deepEqual([call(1), call(2), variable.get()], [0, 0, 0]);
      });
    });
  }

  it("a second copy of the package sets variables in the callback of the first, and no next callback sees them", async () => {
    const [mine, theirs] = [
      new here.ContextVar("v", { default: "default" }),
      new there.ContextVar("v", { default: "default" }),
    ];
    const seen: string[][] = [];
    await new Promise<void>((resolve) => {
      const interval = setInterval(() => {
        seen.push([mine.get(), theirs.get()]);
        const setThem = [() => mine.set("tick"), () => theirs.set("tick")];
        for (const set of seen.length % 2 === 0 ? setThem : setThem.reverse()) {
          set();
        }
        assert.deepEqual([mine.get(), theirs.get()], ["tick", "tick"]);
        if (seen.length === 4) {
          clearInterval(interval);
          resolve();
        }
      }, 1);
    });
    assert.deepEqual(seen, Array(4).fill(["default", "default"]));
  });

  it("a second copy of the package gives its variables numbers that the first one has not", () => {
    const hash = (variable: unknown): number => (variable as { _hash: number })._hash;
    const all = Array.from({ length: 50 }, () => [new here.ContextVar("v"), new there.ContextVar("v")]).flat();
    assert.equal(new Set(all.map(hash)).size, 100);
  });

  it("a second copy of the package raises errors that are told by name and code", () => {
    const variable = new there.ContextVar("v");
    assert.throws(() => variable.get(), { name: "LookupError", code: "ERR_CONTEXTVAR_UNSET" });
  });
});
