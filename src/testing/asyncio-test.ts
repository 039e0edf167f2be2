/**
 * asyncioTest: a test function that is run as the main task of a Runner of its own, and leaves nothing behind.
 *
 * Theory of operation. There is one loop in the process, and one Runner can be at work: tests that a runner starts side by
 * side wait for each other. The limit of time is one of the real clock, since the test may have another; when it has
 * passed, the tasks are asked where they are before they are cancelled. What a test has left open when it ends is given a
 * moment to end by itself, because the other side of a connection hears of its end a few turns later.
 */
import { allTasks, currentTask, Runner, type Task, TimeoutError } from "../asyncio/index.ts";
import {
  checkFunction,
  checkOptions,
  checkPositiveSeconds,
  collectOpen,
  type Openable,
  realClock,
  tasksReport,
} from "../asyncio/seam.ts";
import { type Context, RuntimeError } from "../contextvars/index.ts";
import { waitAllTasksBlocked } from "./blocked.ts";
import { MockClock } from "./mock-clock.ts";

/** Options of {@linkcode asyncioTest}. */
export interface AsyncioTestOptions {
  /** How long the test may take, in real seconds; then it fails with a report of its tasks. @default 10 */
  timeout?: number | undefined;
  /** A clock for the test to run by. @default the real one */
  clock?: MockClock | undefined;
}

/** What a test runner is given: it takes what the runner passes on, and has no parameters of its own to be taken for a callback. */
export type TestFunction<A extends unknown[]> = (...given: A) => Promise<void>;

/** How long what is left of a test may take to end by itself, in looks of so many real seconds. */
const LOOKS = 20;
const LOOK_INTERVAL = 0.005;
/** How long a main task may take to end when it was cancelled because of the limit, in real seconds. */
const LAST_WORDS = 1;

/** The end of the test before, in whatever way. */
let before: Promise<void> = Promise.resolve();

/**
 * Makes a function for any test runner's `it()`, which runs `f` as a main task.
 *
 * Each call has a Runner and a Context of its own. The test fails if it leaves tasks, connections or servers behind; the
 * error names them, and they are cancelled and closed. When it takes too long, it fails with a report of where each of
 * its tasks is, and is cancelled. Tests that a runner starts side by side run one after the other.
 *
 * It works with every runner whose tests may be functions that give a promise: node:test, Vitest, Jest, bun test, Deno.
 *
 * Python: has no such function; `unittest.IsolatedAsyncioTestCase`.
 *
 * @param f - Gets what the runner passes on.
 * @returns A function whose promise is rejected with what `f` throws; with a TimeoutError after `timeout` seconds; with a
 * RuntimeError if something is left behind, or if it is called in a task.
 * @throws {TypeError} If `f` is not a function, `clock` no MockClock, or there is another option.
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

/** Checks what a test is made of. */
export function checkTest(caller: string, f: unknown, options: AsyncioTestOptions): void {
  checkFunction(caller, f);
  checkOptions(caller, options, ["timeout", "clock"]);
  checkPositiveSeconds("timeout", options.timeout);
  if (options.clock !== undefined && !(options.clock instanceof MockClock)) {
    throw new TypeError(`${caller}: clock must be a MockClock, got ${typeof options.clock}`);
  }
}

/** Runs a test, after those before it. @param context - That of its main task. */
export async function runTest(
  f: () => unknown,
  { timeout = 10, clock }: AsyncioTestOptions,
  context?: Context,
): Promise<void> {
  if (currentTask() !== null) {
    throw new RuntimeError(
      "a test of asyncioTest() cannot be called from a task, as within another one; await f itself",
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
        `the test has left behind: ${left.join(", ")}; await or cancel tasks, close() writers and servers`,
        { code: "ERR_TEST_LEFTOVERS" },
      );
    }
  }

  /** Its tasks but the main one. */
  #tasks(): Task<unknown>[] {
    return [...allTasks()].filter((task) => !this.#tasksBefore.has(task));
  }

  /** What is left, by name. */
  #leftovers(): string[] {
    return [...this.#tasks().filter((task) => task !== currentTask()), ...this.#open].map(String);
  }

  /** Waits for the main task, within the limit of the test. */
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
      `the test has not ended after ${this.#timeout} seconds; its tasks are:\n${await tasksReport(this.#tasks())}`,
    );
    for (const task of this.#tasks()) {
      task.cancel();
    }
    await this.#ended(ended);
    throw error;
  }

  /** Waits for the end, in whatever way, but not for ever: a promise of others may never be settled. */
  async #ended(ended: Promise<void>): Promise<void> {
    const timer = new RealTimer(LAST_WORDS);
    await Promise.race([ended.catch(() => {}), timer.passed]);
    timer.stop();
  }
}

const PASSED = Symbol("passed");

/** A limit of real time. */
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
