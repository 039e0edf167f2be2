/** The tasks that are not done, in debug mode: they are held weakly, so that it shows when one can never end. */
import { callExceptionHandler } from "./events.ts";
import type { Task } from "./tasks.ts";

const references = new Set<WeakRef<Task<unknown>>>();
/** The weak reference of each task; not a property of the task, because almost no task has one. */
const watched = new WeakMap<Task<unknown>, WeakRef<Task<unknown>>>();

/** The report about a task that was garbage-collected before it was done. */
interface Destroyed {
  readonly task: string;
  readonly stack: string | undefined;
}

const destroyed = new FinalizationRegistry<Destroyed>(({ task, stack }) => {
  const message = "Task was destroyed but it is pending!";
  callExceptionHandler(stack === undefined ? { message, task } : { message, task, sourceTraceback: stack });
});

/** Holds the task weakly until it is done, and reports it if it is collected before. */
export function watch(task: Task<unknown>): void {
  const reference = new WeakRef(task);
  watched.set(task, reference);
  references.add(reference);
  destroyed.register(task, { task: String(task), stack: task._stack }, reference);
}

/** Returns `false` if the task is not watched. */
export function stopWatching(task: Task<unknown>): boolean {
  const reference = references.size === 0 ? undefined : watched.get(task);
  if (reference === undefined) {
    return false;
  }
  references.delete(reference);
  destroyed.unregister(reference);
  return true;
}

/** Those that are not collected. */
export function* watchedTasks(): Generator<Task<unknown>> {
  for (const reference of references) {
    const task = reference.deref();
    if (task !== undefined) {
      yield task;
    }
  }
}
