/**
 * Stillness: detects when the library has nothing more to do, and what its tasks then wait for.
 *
 * Theory of operation. The ready queue is checked in `setImmediate`, when no microtask and no tick is left. A check
 * that finds nothing may come just before a system event, and other libraries' promises may need a turn or two: so two
 * checks in a row have to find nothing. For longer times the waits of all tasks are compared as well: a read that a
 * socket answers bypasses the ready queue, but the task then begins another wait.
 */
import { allTasks, type Task } from "../asyncio/index.ts";
import { isIdle, realClock } from "../asyncio/seam.ts";

/** How many turns in a row have to find nothing to do. */
const QUIET_TURNS = 2;

/** Checks repeatedly, for as long as its callback requests it. */
export class Watch {
  /**
   * Called when nothing was to do; returns after how many seconds to check again, 0 for the next turn, `null` to stop.
   */
  readonly #onStill: () => number | null;
  #quietTurns = 0;
  #isLooking = false;

  constructor(onStill: () => number | null) {
    this.#onStill = onStill;
  }

  /** Begins to check, or starts over. */
  start(): void {
    this.#quietTurns = 0;
    if (!this.#isLooking) {
      this.#isLooking = true;
      this.#lookAfter(0);
    }
  }

  #lookAfter(seconds: number): void {
    if (seconds === 0) {
      realClock.setImmediate(() => this.#look());
    } else {
      realClock.setTimeout(() => this.#look(), seconds * 1000);
    }
  }

  #look(): void {
    this.#quietTurns = isIdle() ? this.#quietTurns + 1 : 0;
    let next: number | null = 0;
    if (this.#quietTurns >= QUIET_TURNS) {
      this.#quietTurns = 0;
      next = this.#onStill();
    }
    this.#isLooking = next !== null;
    if (next !== null) {
      this.#lookAfter(next);
    }
  }
}

/** Measures how long the tasks' waits have been the same. */
export class Quiet {
  #waits: ReadonlySet<object> = new Set();
  #since = 0;

  /** How long the waits have been the same, in real seconds. */
  get seconds(): number {
    return realClock.time() - this.#since;
  }

  /** Starts over if a wait has changed. */
  compare(): void {
    const waits = new Set(tasksWaits().flat());
    if (waits.size !== this.#waits.size || [...waits].some((wait) => !this.#waits.has(wait))) {
      this.#waits = waits;
      this.#since = realClock.time();
    }
  }

  reset(): void {
    this.#waits = new Set();
    this.#since = realClock.time();
  }
}

/** The library's waits of each task; none for a task that waits for another library's promise. */
export function tasksWaits(except: ReadonlySet<Task<unknown>> = new Set()): ReturnType<Task<unknown>["_waits"]>[] {
  return [...allTasks()].filter((task) => !except.has(task)).map((task) => task._waits());
}
