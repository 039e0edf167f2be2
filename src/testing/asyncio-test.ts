/**
 * asyncioTest: a test function that runs as the main task of its own Runner and leaves nothing behind.
 *
 * Theory of operation. There is one loop in the process, and only one Runner can be active: tests that a test runner
 * starts concurrently wait for each other. The time limit uses the real clock, since the test may have another one;
 * when it has passed, the report of the tasks is made before they are cancelled. Connections and tasks that are still
 * open when a test ends get a moment to end by themselves, because the other side of a connection notices its end a few
 * turns later.
 */
import { allTasks, currentTask, getRunningLoop, Runner, type Task, TimeoutError } from "../asyncio/index.ts";
import {
  checkFunction,
  checkOptions,
  checkPositiveSeconds,
  collectOpen,
  handledSignals,
  type Openable,
  realClock,
  tasksReport,
} from "../asyncio/seam.ts";
import { type Context, RuntimeError } from "../contextvars/index.ts";
import { waitAllTasksBlocked } from "./blocked.ts";
import { MockClock } from "./mock-clock.ts";

/** Options of {@linkcode asyncioTest}. */
export interface AsyncioTestOptions {
  /** How long the test may take, in real seconds, before it fails with a report of its tasks. @default 10 */
  timeout?: number | undefined;
  /** The clock of the test. @default the real one */
  clock?: MockClock | undefined;
}

/**
 * A function for a test runner. It accepts the runner's arguments, but declares no parameters, which a runner would
 * mistake for a callback.
 */
export type TestFunction<A extends unknown[]> = (...given: A) => Promise<void>;

/**
 * How many times a test's leftovers are checked until they have ended by themselves, and the interval in real seconds.
 */
const LOOKS = 20;
const LOOK_INTERVAL = 0.005;
/** How long a main task may take to end after it was cancelled at the time limit, in real seconds. */
const END_TIMEOUT = 1;

/** Resolves when the previous test has ended, in whatever way. */
let before: Promise<void> = Promise.resolve();

/**
 * Returns a function for any test runner's `it()`, which runs `f` as a main task.
 *
 * Each call has its own Runner and Context. The test fails if it leaves tasks, connections, servers or child processes
 * behind, also if the garbage collector has found them; the error names them, and they are cancelled, closed and killed.
 * After the test, the loop's exception handler,
 * `slowCallbackDuration` and signal handlers are those from before it. If the test takes too long, it is cancelled and
 * fails with a report of where each of its tasks is. Tests that a test runner starts concurrently run one after the other.
 *
 * It works with every test runner whose tests may return a promise: node:test, Vitest, Jest, Mocha, bun test, Deno.
 *
 * Python: has no such function; `unittest.IsolatedAsyncioTestCase`.
 *
 * @param f - Called with the test runner's arguments.
 * @returns A function whose promise is rejected with the error of `f`; with a TimeoutError after `timeout` seconds; or
 * with a RuntimeError if the test leaves anything behind or is called in a task.
 * @throws {TypeError} If `f` is not a function, `clock` is not a MockClock, or there is an unknown option.
 * @throws {ValueError} If `timeout` is not above 0.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import { asyncioTest, MockClock } from "contextvars/testing";
 * import assert from "node:assert/strict";
 * import { it } from "node:test";
 *
 * it(
 *   "gives up after a minute",
 *   asyncioTest(
 *     async () => {
 *       const forever = asyncio.timeout(60).with(() => new asyncio.Event().wait());
 *       await assert.rejects(forever, asyncio.TimeoutError);
 *     },
 *     { clock: new MockClock() },
 *   ),
 * );
 * ```
 */
export function asyncioTest<A extends unknown[]>(
  f: (...given: A) => unknown,
  options: AsyncioTestOptions = {},
): TestFunction<A> {
  checkTest("asyncioTest()", f, options);
  return (...given) => runTest(() => f(...given), options);
}

/** Checks the arguments of a test. */
export function checkTest(caller: string, f: unknown, options: AsyncioTestOptions): void {
  checkFunction(caller, f);
  checkOptions(caller, options, ["timeout", "clock"]);
  checkPositiveSeconds("timeout", options.timeout);
  if (options.clock !== undefined && !(options.clock instanceof MockClock)) {
    throw new TypeError(`${caller}: clock must be a MockClock, got ${typeof options.clock}`);
  }
}

/** Runs a test after all earlier ones. @param context - The Context of its main task. */
export async function runTest(
  f: () => unknown,
  { timeout = 10, clock }: AsyncioTestOptions,
  context?: Context,
): Promise<void> {
  if (currentTask() !== null) {
    throw new RuntimeError(
      "a test of asyncioTest() cannot be called inside a task, such as another test; await the function itself",
      {
        code: "ERR_LOOP_RUNNING",
      },
    );
  }
  const turn = before;
  let end = (): void => {};
  before = new Promise((resolve) => {
    end = resolve;
  });
  await turn;
  try {
    const test = new Test(f, timeout, context);
    await (clock === undefined ? test.run() : clock.with(() => test.run()));
  } finally {
    end();
  }
}

class Test {
  readonly #f: () => unknown;
  readonly #timeout: number;
  readonly #context: Context | undefined;
  readonly #runner = new Runner();
  readonly #tasksBefore = allTasks();
  readonly #restoreLoop = restorer();
  readonly #open = new Set<Openable>();

  constructor(f: () => unknown, timeout: number, context: Context | undefined) {
    this.#f = f;
    this.#timeout = timeout;
    this.#context = context;
  }

  async run(): Promise<void> {
    collectOpen(this.#open);
    try {
      await this.#limited(this.#runner.run(() => this.#main(), { context: this.#context }));
    } finally {
      collectOpen(null);
      for (const left of [...this.#open]) {
        left._endNow();
      }
      await this.#ended(this.#runner.close());
      this.#runner._end();
      this.#restoreLoop();
    }
  }

  async #main(): Promise<void> {
    await this.#f();
    for (let look = 0; look < LOOKS && this.#leftovers().length > 0; look++) {
      await waitAllTasksBlocked({ cushion: LOOK_INTERVAL });
    }
    const left = this.#leftovers();
    if (left.length > 0) {
      throw new RuntimeError(
        `the test left behind: ${left.join(", ")}; await or cancel tasks, close() writers and servers, wait() for processes`,
        { code: "ERR_TEST_LEFTOVERS" },
      );
    }
  }

  /** The test's tasks except the main one. */
  #tasks(): Task<unknown>[] {
    return [...allTasks()].filter((task) => !this.#tasksBefore.has(task));
  }

  /** The descriptions of everything that is left. */
  #leftovers(): string[] {
    return [...this.#tasks().filter((task) => task !== currentTask()), ...this.#open].map(String);
  }

  /** Waits for the main task, within the test's time limit. */
  async #limited(ended: Promise<void>): Promise<void> {
    const timer = new RealTimer(this.#timeout);
    try {
      if ((await Promise.race([ended, timer.passed])) !== PASSED) {
        return;
      }
    } finally {
      timer.stop();
    }
    const error = new TimeoutError(
      `the test did not end within ${this.#timeout} seconds; its tasks are:\n${await tasksReport(this.#tasks())}`,
    );
    for (const task of this.#tasks()) {
      task.cancel();
    }
    await this.#ended(ended);
    throw error;
  }

  /** Waits for the end, in whatever way, but not forever: another library's promise may never settle. */
  async #ended(ended: Promise<void>): Promise<void> {
    const timer = new RealTimer(END_TIMEOUT);
    await Promise.race([ended.catch(() => {}), timer.passed]);
    timer.stop();
  }
}

/** Returns a function that gives the loop the handlers that it has now. */
function restorer(): () => void {
  const loop = getRunningLoop();
  const { slowCallbackDuration } = loop;
  const exceptionHandler = loop.getExceptionHandler();
  const signals = handledSignals();
  return () => {
    loop.slowCallbackDuration = slowCallbackDuration;
    loop.setExceptionHandler(exceptionHandler);
    for (const signal of handledSignals().filter((each) => !signals.includes(each))) {
      loop.removeSignalHandler(signal);
    }
  };
}

const PASSED = Symbol("passed");

/** A time limit in real time. */
class RealTimer {
  readonly passed: Promise<typeof PASSED>;
  #timer: NodeJS.Timeout | undefined;

  constructor(seconds: number) {
    this.passed = new Promise((resolve) => {
      this.#timer = realClock.setTimeout(() => resolve(PASSED), seconds * 1000);
    });
  }

  stop(): void {
    realClock.clearTimeout(this.#timer);
  }
}
