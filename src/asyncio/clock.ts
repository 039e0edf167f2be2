/**
 * The clock and timers of the runtime, as they were when the library was loaded.
 *
 * Test runners put fakes in the place of the global functions. A loop that waited for a fake would stand still for the
 * whole process once the fake is taken away, so every module of asyncio takes these functions from here. They are
 * variables of the module: `replaceClock` puts others in their place, and reading them costs nothing.
 */
import { timersBeneathMocks } from "./deno-timers.ts";
import { ON_DENO } from "./runtime.ts";

/** What the loop needs of a runtime. */
export interface Clock {
  readonly setTimeout: typeof globalThis.setTimeout;
  readonly clearTimeout: typeof globalThis.clearTimeout;
  readonly setImmediate: typeof globalThis.setImmediate;
  /** Seconds since some fixed moment, never going back. */
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

/** No clock has another one: it waits for nothing but the code that runs. */
export const queueMicrotask: typeof globalThis.queueMicrotask = globalThis.queueMicrotask;

/** Puts another clock in the place of the runtime's, or takes it away again. What was set before stays with its own. */
export function replaceClock(clock: Clock | null): void {
  ({ setTimeout, clearTimeout, setImmediate, time } = clock ?? realClock);
}
