/**
 * Runner and run: the main task, from its start until all tasks that it started have ended.
 *
 * Theory of operation. Node ends a process when nothing is left that could wake it, even while a main task waits. So
 * while a main task or its cleanup runs, the Runner listens to the process's events: `beforeExit` reports that nothing
 * is left, and `exit` that this has not changed. A program that calls `process.exit()` gets no `beforeExit`. While a
 * signal has a handler, which may wake a task, a timer keeps the process alive.
 */

import { type Context, copyContext } from "../contextvars/context.ts";
import { knowMethodsOf } from "../contextvars/detached.ts";
import { RuntimeError } from "../errors.ts";
import { allTasks } from "./all-tasks.ts";
import { checkBooleans, checkContext, checkFunction, checkOptions } from "./arguments.ts";
import { noop, quiet } from "./async-stacks.ts";
import { realClock } from "./clock.ts";
import { gather } from "./combinators.ts";
import { createTask } from "./create-task.ts";
import { currentTask } from "./current-task.ts";
import { isDebug, setDebug } from "./debug/debug.ts";
import { tasksReport } from "./debug/report.ts";
import { callExceptionHandler } from "./events.ts";
import { KeyboardInterrupt } from "./exceptions.ts";
import { failureOf } from "./futures.ts";
import { type EventLoop, getRunningLoop } from "./loop.ts";
import { catchInterrupt, exitIfInterruptUncaught, handledSignals } from "./signals.ts";
import { leaveProcesses, type Process, runningProcesses } from "./subprocess.ts";
import type { Task } from "./tasks.ts";

/** Options of {@linkcode Runner} and {@linkcode run}. */
export interface RunnerOptions {
  /**
   * Debug mode while the Runner is active, see `loop.setDebug()`; Ctrl-\ (SIGQUIT) then prints where all tasks are.
   *
   * @default unchanged; `ASYNCIO_DEBUG` may have switched it on
   */
  debug?: boolean | undefined;
}

/** Options of {@linkcode Runner.run}. */
export interface RunnerRunOptions {
  /**
   * The Context of the main task. @default the Runner's own, a copy of the one that was current when the Runner began
   */
  context?: Context | undefined;
}

/** The active Runner: there is one loop in the process, and its tasks cannot be told apart. */
let active: object | null = null;

/** Whether a Runner is active. */
export function isRunnerActive(): boolean {
  return active !== null;
}

/**
 * Runs main functions one after the other in the same Context, and cleans up after them.
 *
 * Python: `asyncio.Runner`. Differs: `await using` or `close()` instead of `with`; the Runner does not cancel tasks
 * that existed before it began.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * await using runner = new asyncio.Runner();
 * assert.equal(await runner.run(async () => 1), 1);
 * assert.equal(await runner.run(async () => 2), 2);
 * ```
 */
export class Runner {
  #context: Context | null = null;
  /** Whether a main task is running. */
  #running = false;
  #closing: Promise<void> | null = null;
  #isClosed = false;
  /** Identifies this Runner while it is active. */
  readonly #session = {};
  #before: Set<Task<unknown>> = new Set();
  #processesBefore: ReadonlySet<Process> = new Set();
  readonly #debug: boolean | undefined;
  #debugBefore = false;
  #stopReporting: () => void = noop;

  constructor(options: RunnerOptions = {}) {
    checkOptions("Runner()", options, ["debug"]);
    checkBooleans(options, ["debug"]);
    this.#debug = options.debug;
  }

  /**
   * Runs the function as the main task and returns its result.
   *
   * Ctrl-C cancels the main task; a second one ends the process, as it does without a Runner. If the program has its
   * own listener for SIGINT, that listener is called instead. When the process ends because nothing is left that could
   * wake a task, it prints which tasks wait for what, and its exit status is 13. A signal handler of the loop may wake
   * one.
   *
   * Python: `Runner.run()`. Differs: returns a promise; other tasks continue until `close()`.
   *
   * @param main - What to run.
   * @throws {RuntimeError} If it is called in a task, while another Runner is active, or after `close()`.
   * @throws {TypeError} If `main` is not a function.
   * @throws {KeyboardInterrupt} If Ctrl-C cancelled the main task. If it is not caught, the exit status is 130.
   */
  async run<T>(main: () => T | PromiseLike<T>, options: RunnerRunOptions = {}): Promise<Awaited<T>> {
    checkFunction("run()", main);
    checkOptions("Runner.run()", options, ["context"]);
    checkContext("Runner.run()", options.context);
    if (currentTask() !== null) {
      throw new RuntimeError("run() cannot be called in a task; await the function, or pass it to createTask()", {
        code: "ERR_LOOP_RUNNING",
      });
    }
    if (this.#running) {
      throw alreadyRunning();
    }
    if (this.#closing !== null) {
      throw closed();
    }
    const context = this.#begin();
    const task = createTask(main, { context: options.context ?? context });
    this.#running = true;
    let interrupted = false;
    const onInterrupt = (): void => {
      interrupted = true;
      task.cancel();
    };
    const stopCatching = catchInterrupt(onInterrupt);
    const stopWatching = this.#reportIfStuck();
    try {
      return await task;
    } catch (error) {
      if (!(interrupted && task.cancelled() && task.uncancel() === 0)) {
        throw error;
      }
      exitIfInterruptUncaught();
      throw new KeyboardInterrupt("interrupted by Ctrl-C (SIGINT)", { cause: error });
    } finally {
      stopCatching();
      stopWatching();
      this.#running = false;
    }
  }

  /** The loop. Python: `Runner.get_loop()`. Differs: there is one for the process. */
  getLoop(): EventLoop {
    this.#begin();
    return getRunningLoop();
  }

  /**
   * Cancels all tasks that were started since the Runner began, and waits until they have ended.
   *
   * Their errors are reported to the loop's exception handler. Closing an unused Runner has no effect.
   *
   * Python: `Runner.close()`. Differs: returns a promise.
   */
  close(): Promise<void> {
    if (active === this.#session) {
      this.#closing ??= quiet(this.#cleanUp());
    }
    return this.#closing ?? Promise.resolve();
  }

  /** Calls `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #reportIfStuck(): () => void {
    return reportIfStuck(() => active === this.#session);
  }

  async #cleanUp(): Promise<void> {
    const stopWatching = this.#reportIfStuck();
    try {
      await cancelAll([...allTasks()].filter((task) => !this.#before.has(task)));
      leaveProcesses(this.#processesBefore);
    } finally {
      stopWatching();
      this._end();
    }
  }

  /**
   * @internal Ends the Runner without waiting for its tasks: a task that waits for another library's promise may never
   * end.
   */
  _end(): void {
    if (active === this.#session) {
      this.#isClosed = true;
      active = null;
      setDebug(this.#debugBefore);
      this.#stopReporting();
    }
  }

  #begin(): Context {
    if (this.#isClosed) {
      throw closed();
    }
    if (active !== this.#session) {
      if (active !== null) {
        throw alreadyRunning();
      }
      active = this.#session;
      this.#before = allTasks();
      this.#processesBefore = runningProcesses();
      this.#debugBefore = isDebug();
      setDebug(this.#debug ?? this.#debugBefore);
      if (isDebug()) {
        this.#stopReporting = reportOnQuit();
      }
    }
    this.#context ??= copyContext();
    return this.#context;
  }
}

function alreadyRunning(): RuntimeError {
  return new RuntimeError("run() cannot be called while another run() is active; pass the function to createTask()", {
    code: "ERR_LOOP_RUNNING",
  });
}

function closed(): RuntimeError {
  return new RuntimeError("Runner is closed", { code: "ERR_RUNNER_CLOSED" });
}

/** Node's own exit status for a top-level `await` that can never end. */
const STUCK_STATUS = 13;

/** How long it may take to notice that the last signal handler was removed. */
const SIGNAL_CHECK = 500; // milliseconds

/**
 * From now on, a process that ends because nothing is left that could wake a task prints a report and fails.
 *
 * @param isAtWork - Returns whether the main task or its cleanup is still running.
 * @returns A function that ends that.
 */
function reportIfStuck(isAtWork: () => boolean): () => void {
  let report: string | null = null;
  let keepAlive: NodeJS.Timeout | undefined;
  const onBeforeExit = (): void => {
    if (!isAtWork()) {
      return;
    }
    if (handledSignals().length > 0) {
      // Node's listeners for signals keep no process alive, asyncio's do.
      keepAlive = realClock.setTimeout(noop, SIGNAL_CHECK);
      return;
    }
    report = "";
    // Creating the report takes only microtasks, which still run before the process ends.
    void tasksReport(allTasks()).then((text) => {
      report = text;
    });
  };
  const onExit = (): void => {
    if (report !== null) {
      console.error(`asyncio.run() can never end: nothing is left that could wake a task.\n${report}`);
      process.exitCode ||= STUCK_STATUS;
    }
  };
  process.on("beforeExit", onBeforeExit);
  process.on("exit", onExit);
  return () => {
    realClock.clearTimeout(keepAlive);
    process.off("beforeExit", onBeforeExit);
    process.off("exit", onExit);
  };
}

/**
 * From now on, Ctrl-\ (SIGQUIT) makes the process print what its tasks wait for, and continue.
 *
 * @returns A function that ends that.
 */
function reportOnQuit(): () => void {
  if (process.platform === "win32") {
    return noop;
  }
  const onQuit = (): void => {
    const tasks = allTasks();
    void tasksReport(tasks).then((text) => console.error(`${tasks.size} tasks:\n${text}`));
  };
  process.on("SIGQUIT", onQuit);
  return () => process.off("SIGQUIT", onQuit);
}

async function cancelAll(tasks: readonly Task<unknown>[]): Promise<void> {
  for (const task of tasks) {
    task.cancel();
  }
  await gather(tasks, { returnExceptions: true });
  for (const task of tasks) {
    const failure = failureOf(task);
    if (failure !== null) {
      const message = "unhandled exception during asyncio.run() shutdown";
      callExceptionHandler({ message, exception: failure.error, task });
    }
  }
}

/**
 * Runs the function as the main task and cleans up after it: the usual way to start a program.
 *
 * When the main task has ended, all tasks it started are cancelled and awaited. Ctrl-C cancels the main task, so that
 * its `finally` blocks run; a second one ends the process. The main task has a copy of the current Context.
 *
 * When the process ends because nothing is left that could wake a task, it prints which tasks wait for what, and its
 * exit status is 13. A signal handler of the loop may wake one.
 *
 * Python: `asyncio.run()`. Differs: takes a function, and returns a promise.
 *
 * @param main - What to run.
 * @returns The result of `main`.
 * @throws {RuntimeError} If it is called in a task, or while another `run()` is active.
 * @throws {TypeError} If `main` is not a function.
 * @throws {KeyboardInterrupt} If Ctrl-C cancelled the main task; if it is not caught, the exit status is 130. Any other
 * error of `main` is thrown unchanged.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 *
 * async function main(): Promise<void> {
 *   console.log("hello");
 *   await asyncio.sleep(0.1);
 *   console.log("world");
 * }
 *
 * await asyncio.run(main);
 * ```
 */
export async function run<T>(main: () => T | PromiseLike<T>, options: RunnerOptions = {}): Promise<Awaited<T>> {
  const runner = new Runner(options);
  try {
    return await runner.run(main);
  } finally {
    await runner.close();
  }
}

knowMethodsOf({ Runner });
