/**
 * Call graphs: where a task waits, and which tasks wait for it.
 *
 * Which task waits for which is known anyway, since cancellation uses the same links. Where a task waits is determined
 * on request, by the probe of `async-stacks`.
 */
import { addressOf, repr } from "../../repr.ts";
import { quiet } from "../async-stacks.ts";
import { currentTask } from "../current-task.ts";
import { type Future, isfuture } from "../futures.ts";
import { isTask } from "../tasks.ts";
import {
  checkedLimit,
  type FrameCallGraphEntry,
  framesIn,
  frameText,
  PRINT_OPTIONS,
  type PrintOptions,
  type StackOptions,
} from "./frames.ts";
import { stackNow } from "./stacks.ts";
import { framesOf } from "./task-stack.ts";

/**
 * A Task or Future with its call stack, and the tasks that wait for it.
 *
 * Python: `asyncio.FutureCallGraph`. Differs: `omitted`.
 */
export interface FutureCallGraph {
  /** The Task or Future. */
  readonly future: Future<unknown>;
  /** The functions of the program that the task is in, the innermost first. Empty for a Future that is not a task. */
  readonly callStack: readonly FrameCallGraphEntry[];
  /** The tasks that wait for it, each with its own waiting tasks. */
  readonly awaitedBy: readonly FutureCallGraph[];
  /**
   * Why the stack and the waiting tasks are omitted: the task is already further up (`cycle`), more than 100 tasks wait
   * for each other (`depth`), or the graph has 10,000 entries (`size`). With `size`, `future` is the first of the waiting
   * tasks that are left out.
   */
  readonly omitted: "cycle" | "depth" | "size" | null;
}

/** How many tasks that wait for each other are shown below one another. */
const DEEPEST = 100;

/** The graph has an entry for each path to a task, and layers of tasks that wait for the same tasks multiply the paths. */
const MOST_ENTRIES = 10_000;

interface Search {
  readonly limit: number | null;
  /** How many more entries there may be. */
  room: number;
}

/**
 * Returns the call graph of a task or a Future: where it waits, and which tasks wait for it.
 *
 * Nothing is recorded in advance: the graph is determined now, without affecting the program. A task that waits for a
 * promise that is not the library's has an empty stack. On Bun stacks are known only in debug mode, and not for a task
 * that awaits a Task or Future.
 *
 * Python: `asyncio.capture_call_graph()`. Differs: returns a promise; has no `depth`, since the library's own functions
 * are left out.
 *
 * @param future - By default the current task.
 * @param options - `limit`: the number of functions of each stack, beginning with the oldest ones, or, if it is
 * negative, with the innermost.
 * @returns `null` if there is neither `future` nor a current task.
 * @throws {TypeError} If `future` is neither a Task nor a Future, or `limit` is not a whole number.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * await asyncio.run(async () => {
 *   const queue = new asyncio.Queue<number>();
 *   const worker = asyncio.createTask(async function work() {
 *     await queue.get();
 *   });
 *   await asyncio.sleep(0);
 *   const graph = await asyncio.captureCallGraph(worker);
 *   assert.equal(graph!.future, worker);
 *   console.log(graph!.callStack.map((frame) => `${frame.functionName} at line ${frame.lineNumber}`));
 * });
 * ```
 */
export function captureCallGraph(
  future?: Future<unknown> | null,
  options: StackOptions = {},
): Promise<FutureCallGraph | null> {
  return quiet(capture("captureCallGraph()", future, options));
}

async function capture(
  caller: string,
  future: Future<unknown> | null | undefined,
  options: StackOptions,
): Promise<FutureCallGraph | null> {
  const limit = checkedLimit(caller, options);
  const current = currentTask();
  const start = future ?? current;
  if (start === null) {
    return null;
  }
  if (!isfuture(start)) {
    throw new TypeError(`${caller}: future must be a Task or Future, got ${repr(start)}`);
  }
  const running = start === current && limit !== 0 ? framesIn(stackNow()) : null;
  return await graphOf(start, { limit, room: MOST_ENTRIES }, new Set(), running);
}

async function graphOf(
  future: Future<unknown>,
  search: Search,
  above: ReadonlySet<object>,
  running: FrameCallGraphEntry[] | null = null,
): Promise<FutureCallGraph> {
  const omitted = above.has(future) ? "cycle" : above.size === DEEPEST ? "depth" : null;
  if (omitted !== null) {
    return omittedGraph(future, omitted);
  }
  // Read before the first wait, because the present waits are meant.
  const parents = [...future._awaitedBy()] as Future<unknown>[];
  const shown = parents.slice(0, search.room);
  search.room -= shown.length;
  const { limit } = search;
  const frames = running ?? (isTask(future) && limit !== 0 ? await framesOf(future) : []);
  const path = new Set([...above, future]);
  const awaitedBy = await Promise.all(shown.map((each) => graphOf(each, search, path)));
  const leftOut = parents[shown.length];
  if (leftOut !== undefined) {
    awaitedBy.push(omittedGraph(leftOut, "size"));
  }
  return { future, callStack: limited(frames, limit), awaitedBy, omitted: null };
}

function omittedGraph(future: Future<unknown>, omitted: FutureCallGraph["omitted"]): FutureCallGraph {
  return { future, callStack: [], awaitedBy: [], omitted };
}

/** As in CPython: a positive limit keeps the oldest functions, a negative one the innermost. */
function limited(frames: FrameCallGraphEntry[], limit: number | null): FrameCallGraphEntry[] {
  if (limit === null) {
    return frames;
  }
  return limit > 0 ? frames.slice(-limit) : frames.slice(0, -limit);
}

/**
 * Returns the call graph as text; empty if there is neither `future` nor a current task.
 *
 * Python: `asyncio.format_call_graph()`. Differs: returns a promise; has no `depth`.
 *
 * @throws {TypeError} If `future` is neither a Task nor a Future, or `limit` is not a whole number.
 */
export function formatCallGraph(future?: Future<unknown> | null, options: StackOptions = {}): Promise<string> {
  return quiet(capture("formatCallGraph()", future, options).then(graphText));
}

function graphText(graph: FutureCallGraph | null): string {
  return graph === null ? "" : graphLines(graph).join("\n");
}

/**
 * Prints the call graph.
 *
 * Python: `asyncio.print_call_graph()`. Differs: returns a promise; has no `depth`.
 *
 * @param options - `file` has a `write()`; by default standard output.
 * @throws {TypeError} If `future` is neither a Task nor a Future, or `limit` is not a whole number.
 */
export function printCallGraph(future?: Future<unknown> | null, options: PrintOptions = {}): Promise<void> {
  return quiet(print(future, options));
}

async function print(future: Future<unknown> | null | undefined, options: PrintOptions): Promise<void> {
  const limit = checkedLimit("printCallGraph()", options, PRINT_OPTIONS);
  const { file = process.stdout } = options;
  file.write(`${graphText(await capture("printCallGraph()", future, { limit }))}\n`);
}

/** The lines of the text. */
export function graphLines({ future, callStack, awaitedBy, omitted }: FutureCallGraph): string[] {
  const id = `id=${addressOf(future)}`;
  const head = isTask(future) ? `* Task(name=${repr(future.getName())}, ${id})` : `* Future(${id})`;
  if (omitted !== null) {
    return [`${head}: ${omitted === "cycle" ? "a cycle, see above" : "and more"}`];
  }
  const lines = [head];
  if (callStack.length > 0) {
    lines.push("  + Call stack:", ...callStack.map((frame) => `  |   ${frameText(frame)}`));
  }
  if (awaitedBy.length > 0) {
    lines.push("  + Awaited by:", ...awaitedBy.flatMap(graphLines).map((line) => `    ${line}`));
  }
  return lines;
}
