/**
 * What tools find in a process that uses the library: one slot on `globalThis`, for all installed copies.
 *
 * The key has a version: what has to change the shape of the slot takes the next one.
 */
import { addressOf } from "../../repr.ts";
import type { Future } from "../futures.ts";
import { allTasks, type Task } from "../tasks.ts";
import type { FrameCallGraphEntry, StackOptions } from "./frames.ts";
import { captureCallGraph, type FutureCallGraph } from "./graph.ts";

/** A task in words and numbers, which can leave the process. */
export interface TaskDescription {
  readonly id: string;
  readonly name: string;
  /** The name of its function. */
  readonly function: string;
  /** What it waits for; empty where it waits for its turn. */
  readonly waitsFor: readonly string[];
  /** The program's functions that it is in, the innermost first. */
  readonly callStack: readonly FrameCallGraphEntry[];
  /** The ids of the tasks that wait for it. */
  readonly awaitedBy: readonly string[];
  /** In debug mode, the stack where it was made; else `null`. */
  readonly madeAt: string | null;
}

/** What one copy of the library answers. */
export interface RegisteredCopy {
  /** Where it was loaded from. */
  readonly url: string;
  allTasks(): Set<Task<unknown>>;
  captureCallGraph(future: Future<unknown>, options?: StackOptions): Promise<FutureCallGraph | null>;
  /** As in the text of a call graph. */
  idOf(future: Future<unknown>): string;
  describeTasks(): Promise<TaskDescription[]>;
}

/** What is in the slot. */
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
  // Told before anything is waited for.
  const told = {
    id: addressOf(task),
    name: task.getName(),
    function: task._functionName(),
    waitsFor: task._waitsFor(),
    awaitedBy: [...task._awaitedBy()].map(addressOf),
    madeAt: task._stack ?? null,
  };
  return { ...told, callStack: await task._frames() };
}
