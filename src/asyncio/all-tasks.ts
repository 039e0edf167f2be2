/**
 * The tasks that are not done. In debug mode they are held weakly, so that it shows when one can never end; but not in a
 * test that asks for what is left.
 */
import { isDebug } from "./debug/debug.ts";
import { reportWithStack } from "./events.ts";
import { LinkedList } from "./linked-list.ts";
import { isCollecting } from "./open.ts";
import type { Task } from "./tasks.ts";

const pending = new LinkedList<Task<unknown>>();

/** All tasks that are not done. Python: `asyncio.all_tasks()`. */
export function allTasks(): Set<Task<unknown>> {
  const all = new Set(pending);
  for (const reference of references) {
    const task = reference.deref();
    if (task !== undefined) {
      all.add(task);
    }
  }
  return all;
}

/** Called when the task is created. */
export function addTask(task: Task<unknown>): void {
  if (isDebug() && !isCollecting()) {
    watch(task);
  } else {
    pending.add(task);
  }
}

/** Called when the task is done. */
export function removeTask(task: Task<unknown>): void {
  if (!stopWatching(task)) {
    pending.delete(task);
  }
}

const references = new Set<WeakRef<Task<unknown>>>();
/** The weak reference of each task; not a property of the task, because almost no task has one. */
const watched = new WeakMap<Task<unknown>, WeakRef<Task<unknown>>>();

/** The report about a task that was garbage-collected before it was done. */
interface Destroyed {
  readonly task: string;
  readonly stack: string | undefined;
}

const destroyed = new FinalizationRegistry<Destroyed>(({ task, stack }) => {
  reportWithStack({ message: "Task was destroyed but it is pending!", task }, stack);
});

/** Holds the task weakly until it is done, and reports it if it is collected before. */
function watch(task: Task<unknown>): void {
  const reference = new WeakRef(task);
  watched.set(task, reference);
  references.add(reference);
  destroyed.register(task, { task: String(task), stack: task._stack }, reference);
}

/** Returns `false` if the task is not watched. */
function stopWatching(task: Task<unknown>): boolean {
  const reference = references.size === 0 ? undefined : watched.get(task);
  if (reference === undefined) {
    return false;
  }
  references.delete(reference);
  destroyed.unregister(reference);
  return true;
}
