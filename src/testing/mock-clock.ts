/**
 * MockClock: a clock that advances when there is nothing else to do.
 *
 * Theory of operation. It replaces the runtime's clock through `asyncio/clock.ts`: while it is active, the loop's
 * timers and those of connections are its own. Whenever a timer is set, it watches until nothing is ready any more, and
 * then checks what the tasks wait for. If only the library can end all these waits, the next event is the earliest
 * timer, and the clock jumps to that time. If a task waits for a socket, or for a promise that is not the library's,
 * another event may come first; then nothing may happen for `autojumpThreshold` real seconds before the clock jumps.
 *
 * A jump does not change the order: due timers become ready as with the real clock.
 */
import { allTasks, type Task } from "../asyncio/index.ts";
import {
  alarmed,
  checkFiniteSeconds,
  checkFunction,
  checkOptions,
  checkSecondsFromZero,
  collectOutsideFutures,
  dropTimers,
  isRunnerActive,
  nextMoment,
  ReportedUnlessAwaited,
  realClock,
  replaceClock,
  TimerHandle,
} from "../asyncio/seam.ts";
import { RuntimeError } from "../contextvars/index.ts";
import { isAwaited } from "./blocked.ts";
import { Quiet, tasksWaits, Watch } from "./stillness.ts";

/** Options of {@linkcode MockClock}. */
export interface MockClockOptions {
  /**
   * How long nothing may happen, in real seconds, before the clock jumps while a task waits for a socket, a file or
   * another library's promise. With `Infinity`, it does not jump then. With `null`, it jumps only by `jump()`.
   *
   * @default 0.05
   */
  autojumpThreshold?: number | null | undefined;
}

/** The interval between two checks of tasks that wait for something outside the library, in real seconds. */
const LOOK_INTERVAL = 0.005;

/** A timer other than the loop's alarm, such as that of a connection. */
interface Timer {
  readonly when: number;
  readonly ring: () => void;
}

/** The active clock: there is one loop in the process. */
let installed: MockClock | null = null;

function setInstalled(clock: MockClock | null): void {
  installed = clock;
}

/**
 * A clock for tests: timers of any length fire immediately, in their order, when nothing else is left to do.
 *
 * It jumps to the next timer when only the library can end every task's wait: a sleep, a Future, a lock, a queue, a
 * connection in memory. A task that waits for a socket, a file, or any promise that is not the library's stops the
 * clock until nothing has happened for `autojumpThreshold` real seconds. `Promise.race()` hides the waits of its parts
 * from the library: make tasks of the parts, and use `asyncio.wait()`.
 *
 * All timers of the library use it: `sleep()`, `timeout()`, `callLater()`, `idleTimeout`, `readTimeout`, and the time
 * limits of handshakes and of `shutdown()`. It starts at 0.
 *
 * Python: has no such class; trio has `trio.testing.MockClock`.
 *
 * @example An hour in no time
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { MockClock } from "contextvars/testing";
 * import assert from "node:assert/strict";
 *
 * const clock = new MockClock();
 * await clock.with(() =>
 *   asyncio.run(async () => {
 *     await assert.rejects(
 *       asyncio.timeout(3600).with(() => new asyncio.Event().wait()),
 *       asyncio.TimeoutError,
 *     );
 *   }),
 * );
 * assert.equal(clock.time(), 3600);
 * ```
 */
export class MockClock {
  readonly #threshold: number | null;
  #now = 0;
  #timers = new Set<Timer>();
  /** Futures that are settled from outside the library. */
  readonly #outside = new Set<{ done(): boolean }>();
  /** Tasks that existed before are ignored. */
  #before: ReadonlySet<Task<unknown>> = new Set();
  readonly #quiet = new Quiet();
  readonly #watch = new Watch(() => this.#still());

  /**
   * @throws {ValueError} If `autojumpThreshold` is negative or NaN.
   * @throws {TypeError} If it is neither a number nor `null`, or there is an unknown option.
   */
  constructor(options: MockClockOptions = {}) {
    checkOptions("MockClock()", options, ["autojumpThreshold"]);
    const { autojumpThreshold = 0.05 } = options;
    checkSecondsFromZero("autojumpThreshold", autojumpThreshold ?? undefined);
    this.#threshold = autojumpThreshold;
  }

  /** The clock's time in seconds, which `loop.time()` returns while the clock is active. Python: has no such method. */
  time(): number {
    return this.#now;
  }

  /**
   * Advances the clock by this many seconds. Due timers become ready in their order before this returns.
   *
   * Python: has no such method; trio's `MockClock.jump()`.
   *
   * @throws {ValueError} If `seconds` is negative, infinite or NaN.
   * @throws {TypeError} If `seconds` is not a number.
   */
  jump(seconds: number): void {
    checkFiniteSeconds("jump(): seconds", seconds);
    this.#jumpTo(this.#now + seconds);
  }

  /**
   * Calls the function with this clock in place of the real one, until the function's promise settles.
   *
   * Call `asyncio.run()` in it, or run the test with `asyncioTest`: the clock cannot see waits outside tasks. Without
   * an active Runner it jumps only after nothing has happened for `autojumpThreshold` seconds. Afterwards the real
   * clock is restored.
   *
   * Python: has no such method.
   *
   * @returns The function's result. Callbacks and connection timers that are left then never run.
   *
   * @throws {RuntimeError} If another clock is active, a Runner has already begun, or the loop already has timers; and
   * afterwards, unless the function throws, if a `sleep()` is left that would never end.
   * @throws {TypeError} If `f` is not a function.
   */
  with<T>(f: () => T | PromiseLike<T>): Promise<Awaited<T>> {
    return new ReportedUnlessAwaited(this.#with(f));
  }

  async #with<T>(f: () => T | PromiseLike<T>): Promise<Awaited<T>> {
    checkFunction("MockClock.with()", f);
    this.#install();
    let result: Awaited<T>;
    try {
      result = await f();
    } catch (error) {
      this.#uninstall();
      throw error;
    }
    const left = this.#uninstall();
    if (left.length > 0) {
      throw new RuntimeError(
        `MockClock.with() ended while a sleep() waits, which now never ends: ${left.join(", ")}; ` +
          "cancel the task, or run it by asyncio.run(), which cancels it",
        { code: "ERR_CLOCK_SLEEPERS" },
      );
    }
    return result;
  }

  #install(): void {
    if (installed !== null) {
      throw new RuntimeError("MockClock.with(): a clock is already active; use one at a time", {
        code: "ERR_CLOCK_ACTIVE",
      });
    }
    if (isRunnerActive()) {
      throw new RuntimeError(
        "MockClock.with(): a Runner already runs by the real clock; call run() inside with(), not around it",
        { code: "ERR_CLOCK_TOO_LATE" },
      );
    }
    if (nextMoment() !== null) {
      throw new RuntimeError(
        "MockClock.with(): timers already wait by the real clock; end the sleeps and timeouts first",
        { code: "ERR_CLOCK_TOO_LATE" },
      );
    }
    // The loop keeps the alarm of an earlier time limit.
    dropTimers();
    setInstalled(this);
    this.#before = allTasks();
    collectOutsideFutures(this.#outside);
    replaceClock({
      setTimeout: this.#setTimeout.bind(this) as never,
      clearTimeout: ((timer: Timer | undefined) => timer !== undefined && this.#timers.delete(timer)) as never,
      setImmediate: realClock.setImmediate,
      time: () => this.#now,
    });
  }

  /** Restores the real clock, and returns the sleeps that are left. */
  #uninstall(): unknown[] {
    const left = dropTimers().filter((timer) => !(timer instanceof TimerHandle));
    setInstalled(null);
    replaceClock(null);
    collectOutsideFutures(null);
    this.#timers.clear();
    this.#outside.clear();
    this.#before = new Set();
    return left;
  }

  /** The loop's alarm is not stored: the loop knows its time more exactly than milliseconds can express. */
  #setTimeout(callback: () => void, milliseconds: number): Timer {
    const begin = (): void => {
      this.#quiet.reset();
      this.#watch.start();
    };
    const timer = { when: this.#now + milliseconds / 1000, ring: callback, ref: begin, unref() {} };
    if (callback !== alarmed) {
      this.#timers.add(timer);
    }
    begin();
    return timer;
  }

  /**
   * Called when nothing is ready: jumps if allowed. Returns after how many seconds to check again, or `null` to wait
   * until a timer is set.
   */
  #still(): number | null {
    const next = this.#nextMoment();
    if (installed !== this || next === null || this.#threshold === null) {
      return null;
    }
    if (isAwaited()) {
      // waitAllTasksBlocked() returns before any timer fires.
      return LOOK_INTERVAL;
    }
    if (this.#isOutsideAwaited()) {
      this.#quiet.compare();
      const left = this.#threshold - this.#quiet.seconds;
      if (left > 0) {
        return Math.min(left, LOOK_INTERVAL);
      }
    }
    this.#jumpTo(next);
    return 0;
  }

  /** When the earliest timer is due; `null` if none ever is. */
  #nextMoment(): number | null {
    let next = nextMoment() ?? Number.POSITIVE_INFINITY;
    for (const { when } of this.#timers) {
      next = Math.min(next, when);
    }
    // A time that never comes: `sleep(Infinity)`.
    return next === Number.POSITIVE_INFINITY ? null : next;
  }

  #jumpTo(moment: number): void {
    this.#now = moment;
    this.#quiet.reset();
    for (const timer of [...this.#timers].sort((a, b) => a.when - b.when)) {
      if (timer.when <= moment && this.#timers.delete(timer)) {
        timer.ring();
      }
    }
    if (installed === this) {
      alarmed();
    }
  }

  /** Whether an event from outside the library may end a wait. */
  #isOutsideAwaited(): boolean {
    for (const future of this.#outside) {
      if (!future.done()) {
        return true;
      }
      this.#outside.delete(future);
    }
    return (
      !isRunnerActive() ||
      tasksWaits(this.#before).some((waits) => waits.length === 0 || waits.some((wait) => wait.isOutside()))
    );
  }
}
