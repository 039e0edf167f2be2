import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Context, ContextVar, copyContext } from "contextvars";
import {
  currentFlow,
  currentMap,
  enterAmbient,
  Flow,
  isEntered,
  newHash,
  runInFlow,
} from "#dist/contextvars/current.js";
import { EMPTY, find, insert } from "#dist/contextvars/mapping.js";
import { holder, keyOf, mapIn } from "../support/internals.ts";
import { inEmptyContext } from "../support/places.ts";
import { runProgram } from "../support/programs.ts";
import { keepsStoresOnResources } from "../support/runtime.ts";

describe("currentFlow()", () => {
  it("currentFlow() is ambient outside Context.run(), and entered inside", () => {
    assert.equal(currentFlow().ambient, true);
    const context = new Context();
    context.run(() => {
      assert.equal(currentFlow().ambient, false);
      assert.equal(currentFlow().context, context);
      assert.equal(currentMap(), mapIn(context));
    });
  });

  it("currentFlow() leads to the outer flows while Context.run() runs, and to none afterwards", async () => {
    const [a, b] = [new Context(), new Context()];
    const later = a.run(() => {
      const outer = currentFlow();
      return b.run(async () => {
        const flow = currentFlow();
        assert.equal(flow.outer, outer);
        assert.equal(isEntered(a), true);
        await null;
        assert.equal(currentFlow(), flow, "it is the same flow after an await");
        assert.equal(flow.outer, null);
        assert.equal(isEntered(a), false);
        assert.equal(isEntered(b), true);
      });
    });
    assert.equal(isEntered(a), false);
    assert.equal(isEntered(b), false);
    await later;
  });

  it("currentFlow() keeps its owner through Context.run() and through set() outside of it", () => {
    const owner = {};
    runInFlow(new Flow(holder(new Context()), owner, true, null), () => {
      new ContextVar("v").set(1);
      assert.equal(currentFlow().owner, owner);
      new Context().run(() => assert.equal(currentFlow().owner, owner));
    });
    assert.equal(currentFlow().owner, null);
  });
});

describe("runInFlow()", () => {
  it("runInFlow() passes arguments, result and errors, and restores the flow", () => {
    const before = currentFlow();
    const flow = new Flow(holder(new Context()), null, false, null);
    assert.equal(
      runInFlow(flow, (a: number, b: number) => a + b, 1, 2),
      3,
    );
    assert.throws(
      () =>
        runInFlow(flow, () => {
          throw new Error("out");
        }),
      /out/,
    );
    assert.equal(currentFlow(), before);
  });
});

describe("enterAmbient()", () => {
  it("enterAmbient() never changes the Context that was current, but takes its place", async () => {
    const variable = new ContextVar<number>("v");
    await Promise.resolve().then(() => {
      const before = currentFlow();
      const map = mapIn(before.context);
      enterAmbient(insert(map, keyOf(variable), 1));
      assert.notEqual(currentFlow(), before);
      assert.equal(mapIn(before.context), map);
      assert.equal(variable.get(), 1);
    });
    assert.equal(variable.get(0), 0);
  });
});

describe("newHash()", () => {
  it("newHash() gives each variable of the process another number", () => {
    const hashes = Array.from({ length: 1000 }, () => keyOf(new ContextVar("v"))._hash);
    assert.equal(new Set([...hashes, newHash()]).size, 1001);
    assert.ok(hashes.every((hash) => Number.isInteger(hash) && hash >= 0 && hash <= 0xffff_ffff));
  });

  it("newHash() continues at zero after the last 32-bit number", () => {
    const slot = (globalThis as unknown as Record<symbol, { nextHash: number }>)[Symbol.for("contextvars.slot.1")];
    assert.ok(slot);
    const { nextHash } = slot;
    try {
      slot.nextHash = 0xffff_ffff;
      assert.equal(newHash(), 0xffff_ffff);
      assert.equal(newHash(), 0);
    } finally {
      slot.nextHash = nextHash;
    }
  });
});

describe("currentMap()", () => {
  it("currentMap() holds what was set, and a copy of the Context shares it", () => {
    inEmptyContext(() => {
      assert.equal(currentMap(), EMPTY);
      const variable = new ContextVar<number>("v");
      variable.set(1);
      assert.equal(find(currentMap(), keyOf(variable)), 1);
      assert.equal(mapIn(copyContext()), currentMap());
    });
  });
});

describe("importing contextvars", () => {
  it("importing contextvars switches no hooks on, whereas the first use does where the runtime needs it", async () => {
    assert.deepEqual(await runProgram("importing.js"), {
      switchable: keepsStoresOnResources,
      before: 0,
      imported: 0,
      used: keepsStoresOnResources ? 1 : 0,
    });
  });
});
