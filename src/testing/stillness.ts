/**
 * Stillness: when the library has nothing more to do, and what its tasks wait for then.
 *
 * Theory of operation. The ready queue is looked at from `setImmediate`, where no microtask and no tick is left. A look
 * that finds nothing to do may come just before an event of the system, and promises of others may need a turn or two: so
 * two looks in a row have to find nothing. For longer times the waits of all tasks are compared as well: a read that is
 * answered by a socket goes past the ready queue, but begins another wait.
 */
import { allTasks, type Task } from "../asyncio/index.ts";
import { isIdle, realClock } from "../asyncio/seam.ts";

/** So many turns in a row have to find nothing to do. */
const QUIET_TURNS = 2;

/** Looks again and again, while somebody wants it to. */
export class Watch {
  /** Called when nothing was to do; returns in how many seconds to look again, 0 for the next turn, `null` for not. */
  readonly #onStill: () => number | null;
  #quietTurns = 0;
  #isLooking = false;

  constructor(onStill: () => number | null) {
    this.#onStill = onStill;
  }

  /** Begins to look, or starts anew. */
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

/** How long the tasks have waited for the same things. */
export class Quiet {
  #waits: ReadonlySet<object> = new Set();
  #since = 0;

  /** In real seconds. */
  get seconds(): number {
    return realClock.time() - this.#since;
  }

  /** Begins anew if something has changed. */
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

/** What each task waits for, as far as it is the library's; nothing for one that waits for a promise of others. */
export function tasksWaits(except: ReadonlySet<Task<unknown>> = new Set()): ReturnType<Task<unknown>["_waits"]>[] {
  return [...allTasks()].filter((task) => !except.has(task)).map((task) => task._waits());
}
