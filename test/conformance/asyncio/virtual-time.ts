/**
 * A clock that goes on only when nothing else is left to do: timers of any length fire at once, and always in order.
 *
 * It stands in for the timers and the clock that the library uses, and sees the loop's turns, so that it knows when nothing
 * is ready any more.
 */
import { replaceClock } from "#dist/asyncio/clock.js";

interface Timer {
  readonly when: number;
  readonly callback: (argument: unknown) => void;
  readonly argument: unknown;
}

const realImmediate = globalThis.setImmediate;

/** In milliseconds. */
let now = 0;
/** In the order in which they were set: that is the order of those for the same moment. */
const timers = new Set<Timer>();
/** Turns of the loop that were asked for and have not come. */
let turns = 0;

function setVirtualTimeout(callback: (argument: unknown) => void, delay = 0, argument?: unknown): Timer {
  const timer = { when: now + Math.max(1, Math.trunc(delay)), callback, argument };
  timers.add(timer);
  return timer;
}

function setCountedImmediate<A extends unknown[]>(callback: (...args: A) => void, ...args: A): NodeJS.Immediate {
  turns += 1;
  return realImmediate(() => {
    turns -= 1;
    callback(...args);
  });
}

/**
 * Runs the function with this clock, which begins at zero, in the place of the real one. Timers that are left never fire.
 *
 * @param body - Gets a function that resolves when nothing is ready, and no timer is left.
 */
export async function inVirtualTime<T>(body: (untilStuck: () => Promise<void>) => Promise<T>): Promise<T> {
  replaceClock({
    setTimeout: setVirtualTimeout as never,
    clearTimeout: ((timer: Timer | undefined) => timer !== undefined && timers.delete(timer)) as never,
    setImmediate: setCountedImmediate as never,
    now: () => now,
  });
  try {
    return await body(untilStuck);
  } finally {
    replaceClock(null);
    timers.clear();
    now = 0;
  }
}

async function untilStuck(): Promise<void> {
  for (;;) {
    // What was asked for by nextTick, and by microtasks, has run when this resolves.
    await new Promise<void>((resolve) => {
      realImmediate(resolve);
    });
    if (turns > 0) {
      continue;
    }
    const next = earliest();
    if (next === undefined) {
      return;
    }
    now = next;
    for (const timer of timers) {
      if (timer.when === now) {
        timers.delete(timer);
        timer.callback(timer.argument);
      }
    }
  }
}

function earliest(): number | undefined {
  let first: number | undefined;
  for (const { when } of timers) {
    first = first === undefined ? when : Math.min(first, when);
  }
  return first;
}
