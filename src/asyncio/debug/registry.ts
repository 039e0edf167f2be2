/**
 * The registry for tools: one slot on `globalThis`, shared by all installed copies of the library.
 *
 * The key has a version, which changes whenever the shape of the slot changes.
 */
import { addressOf, functionName } from "../../repr.ts";
import { allTasks } from "../all-tasks.ts";
import type { Future } from "../futures.ts";
import type { Task } from "../tasks.ts";
import type { FrameCallGraphEntry, StackOptions } from "./frames.ts";
import { captureCallGraph, type FutureCallGraph } from "./graph.ts";
import { framesOf } from "./task-stack.ts";
import { waitsOf } from "./task-text.ts";

/** A description of a task that can be sent to another process. */
export interface TaskDescription {
  readonly id: string;
  readonly name: string;
  /** The name of the task's function. */
  readonly function: string;
  /** What the task waits for; empty if it waits for its turn. */
  readonly waitsFor: readonly string[];
  /** The program's functions that the task is in, the innermost first. */
  readonly callStack: readonly FrameCallGraphEntry[];
  /** The IDs of the tasks that wait for it. */
  readonly awaitedBy: readonly string[];
  /** In debug mode, the stack where the task was created; otherwise `null`. */
  readonly madeAt: string | null;
}

/** The functions of one copy of the library. */
export interface RegisteredCopy {
  /** The URL from which the copy was loaded. */
  readonly url: string;
  allTasks(): Set<Task<unknown>>;
  captureCallGraph(future: Future<unknown>, options?: StackOptions): Promise<FutureCallGraph | null>;
  /** The ID that the text of a call graph shows. */
  idOf(future: Future<unknown>): string;
  describeTasks(): Promise<TaskDescription[]>;
}

/** The content of the slot. */
export interface Registry {
  readonly copies: RegisteredCopy[];
}

const KEY = Symbol.for("contextvars.asyncio.1");

/** Puts this copy into the slot. */
export function register(): void {
  const slots = globalThis as { [KEY]?: Registry };
  slots[KEY] ??= { copies: [] };
  slots[KEY].copies.push({ url: import.meta.url, allTasks, captureCallGraph, idOf: addressOf, describeTasks });
}

async function describeTasks(): Promise<TaskDescription[]> {
  return await Promise.all([...allTasks()].map(describeTask));
}

async function describeTask(task: Task<unknown>): Promise<TaskDescription> {
  // Read before the first wait.
  const told = {
    id: addressOf(task),
    name: task.getName(),
    function: functionName(task._function),
    waitsFor: waitsOf(task),
    awaitedBy: [...task._awaitedBy()].map(addressOf),
    madeAt: task._stack ?? null,
  };
  return { ...told, callStack: await framesOf(task) };
}
