/** Where one task waits, for `getStack()` and `printStack()`. */
import type { Task } from "../tasks.ts";
import {
  checkedLimit,
  type FrameCallGraphEntry,
  framesIn,
  PRINT_OPTIONS,
  type PrintOptions,
  type StackOptions,
} from "./frames.ts";

/** As `Task.getStack()`. */
export async function stackOf<T>(task: Task<T>, options: StackOptions): Promise<FrameCallGraphEntry[]> {
  const limit = checkedLimit("getStack()", options);
  const failure = task._failed ? task.exception() : null;
  const frames =
    failure === null ? await task._frames() : failure instanceof Error ? framesIn(String(failure.stack)) : [];
  return limit === null ? frames.reverse() : frames.reverse().slice(0, Math.max(limit, 0));
}

/** As `Task.printStack()`. */
export async function printStackOf<T>(task: Task<T>, options: PrintOptions): Promise<void> {
  const limit = checkedLimit("printStack()", options, PRINT_OPTIONS);
  const { file = process.stderr } = options;
  const frames = await task.getStack({ limit });
  const failure = task._failed ? task.exception() : null;
  const head = failure === null ? `Stack for ${task}` : `Traceback for ${task}`;
  const lines = [
    frames.length === 0 ? `No stack for ${task}` : `${head} (most recent call last):`,
    ...frames.map((frame) => `  File "${frame.fileName}", line ${frame.lineNumber}, in ${frame.functionName}`),
    ...(failure instanceof Error ? [`${failure.name}: ${failure.message}`] : []),
  ];
  file.write(`${lines.join("\n")}\n`);
}
