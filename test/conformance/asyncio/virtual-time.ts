/** Scripts by a `MockClock`: timers of any length fire at once, and always in order. */
import { MockClock } from "contextvars/testing";
import { isIdle } from "#dist/asyncio/ready.js";
import { nextMoment } from "#dist/asyncio/timers.js";

/** So many turns in a row nothing has to be there to do. */
const QUIET_TURNS = 3;

/**
 * Runs the function by a clock that begins at zero, and jumps as soon as nothing is ready.
 *
 * @param body - Gets a function that resolves when nothing is ready, and no timer is left.
 */
export async function inVirtualTime<T>(body: (untilStuck: () => Promise<void>) => Promise<T>): Promise<Awaited<T>> {
  return await new MockClock({ autojumpThreshold: 0 }).with(() => body(untilStuck));
}

async function untilStuck(): Promise<void> {
  for (let quietTurns = 0; quietTurns < QUIET_TURNS; ) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    quietTurns = isIdle() && nextMoment() === null ? quietTurns + 1 : 0;
  }
}
