/** Expectations of the stream checks: they throw an error with the expected and the actual result. */
import { AssertionError } from "node:assert";
import { inspect, isDeepStrictEqual } from "node:util";
import { createTask, isCancelled, type Task } from "../asyncio/index.ts";

/** How many bytes a message shows. */
const SHOWN = 60;

/** The text of a value for a message: bytes as text, errors by their name. */
function shown(value: unknown): string {
  if (value instanceof Uint8Array) {
    const text = inspect(Buffer.from(value).toString("latin1", 0, Math.min(value.length, SHOWN)));
    return value.length > SHOWN ? `${text}... (${value.length} bytes)` : text;
  }
  return value instanceof Error ? `${value.name}: ${value.message}` : inspect(value, { depth: 1 });
}

/** The failure of an expectation. */
export function failure(what: string, expected: string, actual: unknown): AssertionError {
  return new AssertionError({
    message: `${what}: expected ${expected}, got ${shown(actual)}`,
    actual,
    operator: "check",
  });
}

/** Expects a value; bytes may be passed as text. */
export function expectEqual(what: string, actual: unknown, expected: unknown): void {
  const wanted = typeof expected === "string" && actual instanceof Uint8Array ? Buffer.from(expected) : expected;
  const same =
    wanted instanceof Uint8Array && actual instanceof Uint8Array
      ? Buffer.compare(wanted, actual) === 0
      : isDeepStrictEqual(actual, wanted);
  if (!same) {
    throw failure(what, shown(wanted), actual);
  }
}

/** Expects an error of one of the classes, thrown directly or by the promise, and returns it. */
export async function expectError<E extends Error>(
  what: string,
  call: () => unknown,
  ...classes: (new (
    ...given: never[]
  ) => E)[]
): Promise<E> {
  const names = classes.map(({ name }) => name).join(" or ");
  let value: unknown;
  try {
    value = await call();
  } catch (error) {
    if (classes.some((each) => error instanceof each)) {
      return error as E;
    }
    // The check took too long.
    throw isCancelled(error) ? error : failure(what, `a ${names}`, error);
  }
  throw failure(what, `a ${names}`, value);
}

/** Runs the function as a task whose error may remain unretrieved, since another expectation may fail first. */
export function begin<T>(body: () => Promise<T>): Task<Awaited<T>> {
  const task = createTask(body);
  task.addDoneCallback(() => task.cancelled() || task.exception());
  return task;
}

/** The outcome of the promise: its value or its error. */
export async function outcome(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error;
  }
}
