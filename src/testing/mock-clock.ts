/**
 * MockClock: time that goes on when there is nothing else to do.
 *
 * Theory of operation. It takes the place of the runtime's clock, by the seam in `asyncio/clock.ts`: the loop's timers and
 * those of connections are its own while it is at work. Whenever one is set it watches until nothing is ready any more, and
 * then asks what the tasks wait for. If all of them wait for what only the library can end, the next thing to happen is the
 * earliest timer: it makes that moment the present. If one waits for a socket, or for a promise of which the library knows
 * nothing, something else may happen first; then nothing has to happen for `autojumpThreshold` real seconds.
 *
 * A jump changes nothing about the order: the timers that are due become ready as with the real clock.
 */
import { allTasks, type Task } from "../asyncio/index.ts";
import {
  alarmed,
  checkFunction,
  checkOptions,
  checkSeconds,
  collectOutsideFutures,
  dropTimers,
  isRunnerActive,
  nextMoment,
  ReportedUnlessAwaited,
  realClock,
  replaceClock,
  TimerHandle,
} from "../asyncio/seam.ts";
import { RuntimeError, ValueError } from "../contextvars/index.ts";
import { isAwaited } from "./blocked.ts";
import { Quiet, tasksWaits, Watch } from "./stillness.ts";

/** Options of {@linkcode MockClock}. */
export interface MockClockOptions {
  /**
   * How long nothing has to happen before the clock jumps while a task waits for a socket, a file or a promise of others,
   * in real seconds. `Infinity`: it does not jump then. `null`: it never jumps by itself, only by `jump()`.
   *
   * @default 0.05
   */
  autojumpThreshold?: number | null | undefined;
}

/** Between two looks at tasks that wait for something from outside, in real seconds. */
const LOOK_INTERVAL = 0.005;

/** A timer that is not the loop's alarm: of a connection. */
interface Timer {
  readonly when: number;
  readonly ring: () => void;
}

/** The clock that is at work: there is one loop in the process. */
let installed: MockClock | null = null;

function setInstalled(clock: MockClock | null): void {
  installed = clock;
}

/**
 * A clock for tests: timers of any length fire at once, in their order, when nothing else is left to do.
 *
 * It jumps to the next timer when every task waits for what only the library can end: a sleep, a Future, a lock, a queue, a
 * connection in memory. A task that waits for a socket, a file, or any promise that is not the library's holds the clock,
 * until nothing has happened for `autojumpThreshold` real seconds. `Promise.race()` hides from the library what else a task
 * waits for: make tasks of its parts, and use `asyncio.wait()`.
 *
 * All timers of the library go by it: `sleep()`, `timeout()`, `callLater()`, `idleTimeout`, `readTimeout`, the limits of
 * handshakes and of `shutdown()`. It begins at 0.
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
  /** Futures that something from outside settles. */
  readonly #outside = new Set<{ done(): boolean }>();
  /** Those that were there before are none of its business. */
  #before: ReadonlySet<Task<unknown>> = new Set();
  readonly #quiet = new Quiet();
  readonly #watch = new Watch(() => this.#still());

  /**
   * @throws {ValueError} If `autojumpThreshold` is negative or NaN.
   * @throws {TypeError} If it is neither a number nor `null`, or there is another option.
   */
  constructor(options: MockClockOptions = {}) {
    checkOptions("MockClock()", options, ["autojumpThreshold"]);
    const { autojumpThreshold = 0.05 } = options;
    if (autojumpThreshold !== null && checkSeconds("autojumpThreshold", autojumpThreshold) < 0) {
      throw new ValueError(`autojumpThreshold must be a number of seconds, 0 or more, got ${autojumpThreshold}`);
    }
    this.#threshold = autojumpThreshold;
  }

  /** Its time, in seconds; what `loop.time()` returns while it is at work. Python: has no such method. */
  time(): number {
    return this.#now;
  }

  /**
   * Lets so many seconds pass at once. Timers that are due become ready in their order, before this returns.
   *
   * Python: has no such method; trio's `MockClock.jump()`.
   *
   * @throws {ValueError} If `seconds` is negative, infinite or NaN.
   * @throws {TypeError} If `seconds` is not a number.
   */
  jump(seconds: number): void {
    if (!(checkSeconds("jump(): seconds", seconds) >= 0 && seconds < Number.POSITIVE_INFINITY)) {
      throw new ValueError(`jump(): seconds must be a finite number, 0 or more, got ${seconds}`);
    }
    this.#jumpTo(this.#now + seconds);
  }

  /**
   * Calls the function while this clock is in the place of the real one, until its promise is settled.
   *
   * Call `asyncio.run()` in it, or run the test by `asyncioTest`: what is awaited outside tasks the clock cannot see. Where
   * no Runner is at work it jumps only after `autojumpThreshold` seconds of quiet. Afterwards the real clock goes on.
   *
   * Python: has no such method.
   *
   * @returns What the function returns.
   * Callbacks and timers of connections that are left then never run.
   *
   * @throws {RuntimeError} If another clock is at work, a Runner has begun before, or timers of the loop wait already; and
   * in the end, if somebody is left asleep who would never wake, unless the function throws itself.
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
        `MockClock.with() has ended before a sleep(), which never ends now: ${left.join(", ")}; ` +
          "cancel the task, or run it by asyncio.run(), which does",
        { code: "ERR_CLOCK_SLEEPERS" },
      );
    }
    return result;
  }

  #install(): void {
    if (installed !== null) {
      throw new RuntimeError("MockClock.with(): a clock is at work already; use one at a time", {
        code: "ERR_CLOCK_ACTIVE",
      });
    }
    if (isRunnerActive()) {
      throw new RuntimeError(
        "MockClock.with(): a Runner has begun before, by the real clock; call run() inside with(), not around it",
        { code: "ERR_CLOCK_TOO_LATE" },
      );
    }
    if (nextMoment() !== null) {
      throw new RuntimeError(
        "MockClock.with(): timers of the loop wait already, by the real clock; end what waits for them before",
        { code: "ERR_CLOCK_TOO_LATE" },
      );
    }
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

  /** Gives the real clock back, and returns who is left asleep. */
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

  /** The loop's alarm is not kept: the loop knows its moment better, which milliseconds do not hold. */
  #setTimeout(callback: () => void, milliseconds: number): Timer {
    const timer = { when: this.#now + milliseconds / 1000, ring: callback };
    if (callback !== alarmed) {
      this.#timers.add(timer);
    }
    this.#quiet.reset();
    this.#watch.start();
    return timer;
  }

  /** Nothing is ready: jumps if it may. Returns in how many seconds to look again; `null`: when a timer is set. */
  #still(): number | null {
    const next = this.#nextMoment();
    if (installed !== this || next === null || this.#threshold === null) {
      return null;
    }
    if (isAwaited()) {
      // Whoever waits until all tasks are blocked comes before any timer.
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

  #nextMoment(): number | null {
    let next = nextMoment();
    for (const { when } of this.#timers) {
      next = Math.min(next ?? when, when);
    }
    return next;
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

  /** Whether something may happen that is not the library's. */
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
