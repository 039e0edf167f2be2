/**
 * The clock and timers of the runtime, as they were when the library was loaded.
 *
 * Test runners replace the global functions with fakes. A loop that waited for a fake would stop for the whole process
 * once the fake is removed, so every module of asyncio imports these functions from here. They are variables of the
 * module: `replaceClock` assigns others, and reading them costs nothing.
 */
import { timersBeneathMocks } from "./deno-timers.ts";
import { ON_DENO } from "./runtime.ts";

/** The functions of a runtime that the loop needs. */
export interface Clock {
  readonly setTimeout: typeof globalThis.setTimeout;
  readonly clearTimeout: typeof globalThis.clearTimeout;
  readonly setImmediate: typeof globalThis.setImmediate;
  /** Seconds since an arbitrary time, never decreasing. */
  readonly time: () => number;
}

const milliseconds = performance.now.bind(performance);

const timers = ON_DENO ? timersBeneathMocks() : globalThis;

export const realClock: Clock = {
  setTimeout: timers.setTimeout,
  clearTimeout: timers.clearTimeout,
  setImmediate: timers.setImmediate,
  time: () => milliseconds() / 1000,
};

export let setTimeout: Clock["setTimeout"] = realClock.setTimeout;
export let clearTimeout: Clock["clearTimeout"] = realClock.clearTimeout;
export let setImmediate: Clock["setImmediate"] = realClock.setImmediate;
export let time: Clock["time"] = realClock.time;

/** The same for every clock, since it waits only for the running code. */
export const queueMicrotask: typeof globalThis.queueMicrotask = globalThis.queueMicrotask;

/**
 * A variable, because a property of the global `process` would be looked up each time; not imported from `node:process`,
 * because that import opens the process's standard streams, and takes milliseconds.
 */
// oxlint-disable-next-line typescript/unbound-method -- it does not use `this`
export const nextTick: typeof process.nextTick = process.nextTick;

/**
 * Replaces the runtime's clock, or with `null` restores it. Timers that were set before stay with the clock they were
 * set on.
 */
export function replaceClock(clock: Clock | null): void {
  ({ setTimeout, clearTimeout, setImmediate, time } = clock ?? realClock);
}
