/** Where one task waits, for `getStack()` and `printStack()`. */
import { isA, repr, safeRepr } from "../../repr.ts";
import { isRunning } from "../current-task.ts";
import { failureOf } from "../futures.ts";
import type { Task } from "../tasks.ts";
import {
  checkedLimit,
  type FrameCallGraphEntry,
  framesIn,
  PRINT_OPTIONS,
  type PrintOptions,
  type StackOptions,
} from "./frames.ts";
import { stackNow, stackTextOf } from "./stacks.ts";

/** Returns the program's frames, the innermost first; for the running task, those of the caller and below it. */
export async function framesOf<T>(task: Task<T>): Promise<FrameCallGraphEntry[]> {
  if (isRunning(task)) {
    return framesIn(stackNow());
  }
  const stacks = await Promise.all(task._waits().map((wait) => wait.probe()));
  // Of several waits, the one with the deepest stack.
  return stacks.map(framesIn).reduce((longest, each) => (each.length > longest.length ? each : longest), []);
}

/** As `Task.getStack()`. */
export async function stackOf<T>(task: Task<T>, options: StackOptions): Promise<FrameCallGraphEntry[]> {
  const limit = checkedLimit("getStack()", options);
  const failure = failureOf(task);
  const frames = failure === null ? await framesOf(task) : framesIn(stackTextOf(failure.error));
  return limit === null ? frames.reverse() : frames.reverse().slice(0, Math.max(limit, 0));
}

/** As `Task.printStack()`. */
export async function printStackOf<T>(task: Task<T>, options: PrintOptions): Promise<void> {
  const limit = checkedLimit("printStack()", options, PRINT_OPTIONS);
  const { file = process.stderr } = options;
  const frames = await task.getStack({ limit });
  const failure = failureOf(task);
  const head = failure === null ? `Stack for ${task}` : `Traceback for ${task}`;
  const lines = [
    frames.length === 0 ? `No stack for ${task}` : `${head} (most recent call last):`,
    ...frames.map((frame) => `  File "${frame.fileName}", line ${frame.lineNumber}, in ${frame.functionName}`),
    ...(failure === null ? [] : [safeRepr(failure.error, errorLine)]),
  ];
  file.write(`${lines.join("\n")}\n`);
}

/** As the last line of a traceback. */
function errorLine(error: unknown): string {
  return isA(error, Error) ? String(error) : repr(error);
}
