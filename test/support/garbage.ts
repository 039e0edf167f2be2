/** Full garbage collections on request, on every runtime. */

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import * as v8 from "node:v8";
import * as vm from "node:vm";

const collect: () => void = collector();

function collector(): () => void {
  const { Bun } = globalThis as { Bun?: { gc(force: boolean): void } };
  if (Bun !== undefined) {
    return () => Bun.gc(true);
  }
  // The flag makes each new global object have the function.
  v8.setFlagsFromString("--expose-gc");
  return vm.runInNewContext("gc") as () => void;
}

/** Overwrites the machine's stack, where Bun finds old references. */
function scrub(depth: number): number {
  const [a, b, c, d] = [depth, depth + 1, depth + 2, depth + 3];
  return depth === 0 ? 0 : scrub(depth - 1) + a + b + c + d;
}

/**
 * Collects until all the objects are gone, or for this many rounds, and returns how many objects are left.
 *
 * Several rounds, because what a FinalizationRegistry lets go is garbage in the next one only; with timers
 * in between, since Bun runs its callbacks then.
 */
export async function survivors(references: readonly WeakRef<object>[], rounds = 100): Promise<number> {
  let left = references.length;
  for (let round = 0; round < rounds && left > 0; round++) {
    await sleep(1);
    scrub(100);
    collect();
    await sleep(1);
    left = references.filter((reference) => reference.deref() !== undefined).length;
  }
  return left;
}

/** Bytes in use on the heap after several collections. */
export async function heapInUse(): Promise<number> {
  // An object that is held makes `survivors()` collect for all rounds.
  const anchor = {};
  assert.equal(await survivors([new WeakRef(anchor)], 5), 1);
  assert.ok(anchor);
  return process.memoryUsage().heapUsed;
}

/**
 * What the heap grows by each time that the function runs, in bytes.
 *
 * What stays behind is in all of these figures. Any single one may be megabytes off, by what a runtime compiles and
 * when it lets go of it.
 */
export async function growths(times: number, run: () => Promise<void>): Promise<number[]> {
  const result: number[] = [];
  let before = await heapInUse();
  for (let time = 0; time < times; time++) {
    await run();
    const after = await heapInUse();
    result.push(after - before);
    before = after;
  }
  return result;
}

/** Registers objects that nothing holds, and collects until the condition holds, or for 100 rounds. */
export async function letGo(registry: FinalizationRegistry<unknown>, isDone: () => boolean): Promise<void> {
  registerMany(registry);
  for (let round = 0; round < 100 && !isDone(); round++) {
    await sleep(1);
    scrub(100);
    collect();
    await sleep(1);
  }
}

/** Many, because one may still be on the machine's stack. */
function registerMany(registry: FinalizationRegistry<unknown>): void {
  for (let i = 0; i < 20; i++) {
    registry.register({}, undefined);
  }
}
