/**
 * Gives an error that ends a wait the stack of the code that awaits.
 *
 * Theory of operation. Such an error is created in a socket event or in the ready queue, where no function of the
 * program is on the stack. V8 knows the awaiting functions: while it runs a promise reaction, the stack of an Error
 * continues with the async function that awaits the promise settled by the reaction, then with the function that awaits
 * that one, and so on.
 *
 * So a wait's promise is not rejected but resolved with a second promise, whose reaction captures the stack and throws.
 * The second promise is settled two microtasks later, when the first follows it. A wait that succeeds needs none of
 * this.
 *
 * A CancelledError that ends a task and then the wait of another one has frames already. It keeps them, and gets those of
 * the other task behind them.
 *
 * The *probe* captures the stack of a wait that is still in progress: the wait's promise follows a second promise,
 * whose reaction captures the stack, and which then takes the role of the wait's promise. A probe is made only on
 * request; it delays the outcome of the wait by a microtask, which is still within the same step of its task. An
 * outcome that arrives during the probe is kept.
 *
 * V8 continues from a promise only if it has a single reaction. So a promise that the program awaits must not have a
 * second reaction of ours; the one that keeps a rejection from ending the process is added after the stack was
 * captured.
 */
import { setStackLimit, stackNow, stackTextOf } from "./debug/stacks.ts";
import { ON_BUN } from "./runtime.ts";

export function noop(): void {}

/**
 * How many functions of the library may lie between a wait and the program; the stack is captured with that many extra
 * frames.
 */
const OWN_FRAMES = 12;

/**
 * Gives the error the current stack, without the frames above and including the function `without`. It keeps the stack
 * that it has if it is frozen, or if the program has replaced `Error.captureStackTrace()`.
 */
function takeFrames(error: object, without: () => unknown): void {
  const wanted = setStackLimit(Error.stackTraceLimit + OWN_FRAMES);
  try {
    Error.captureStackTrace(error, without);
  } catch {
    // The error is thrown all the same.
  }
  setStackLimit(wanted);
}

/** Returns the error that the function creates below functions of the library; its stack has room for them. */
export function createdDeep<E>(create: () => E): E {
  const wanted = setStackLimit(Error.stackTraceLimit + OWN_FRAMES);
  const error = create();
  setStackLimit(wanted);
  return error;
}

const settled: Promise<void> = Promise.resolve();

/** Errors that were created where no function of the program is on the stack, and that have not reached one yet. */
const withoutFrames = new WeakSet<object>();

/** Marks an error that was just created in a callback: it gets the stack of the code that it reaches first. */
export function fromCallback<E>(error: E): E {
  if (typeof error === "object" && error !== null && !ON_BUN) {
    withoutFrames.add(error);
  }
  return error;
}

/** Who has passed an error on: an error that passes a task's border gets the frames on the other side as well. */
const passers = new WeakMap<object, object>();
const passedOn = new WeakSet<object>();

/** Marks an error that has frames already: those of the code that it reaches next are added, once for each passer. */
export function passOn<E extends object>(error: E, passer: object): E {
  if (!ON_BUN && !withoutFrames.has(error) && passers.get(error) !== passer) {
    passers.set(error, passer);
    passedOn.add(error);
  }
  return error;
}

/** An error that passes many tasks has no longer stack than this: each of them would copy it. */
const LONGEST_STACK = 10_000; // characters

/** Adds the async functions of the current stack to the error's, as the traceback of an error grows in Python. */
function addFrames(error: object, without: () => unknown): void {
  const stack = stackTextOf(error);
  if (stack === "" || stack.length > LONGEST_STACK) {
    return;
  }
  const here = {};
  takeFrames(here, without);
  const value = [stack, ...asyncFrames(stackTextOf(here))].join("\n");
  Reflect.defineProperty(error, "stack", { value, writable: true, enumerable: false, configurable: true });
}

/** The lines of the async functions that wait. The others are of the library, also in a bundle that hides this. */
function asyncFrames(stack: string): string[] {
  return stack.split("\n").filter((line) => /^ *at async /.test(line));
}

/** Returns an error of a task of the library's own, with the frames of the code that awaits the running function. */
export function passedHere<E>(error: E): E {
  if (typeof error === "object" && error !== null && !ON_BUN) {
    addFrames(error, passedHere as () => unknown);
  }
  return error;
}

/** What a promise follows that is settled by the argument of its function `resolve`. */
class Following {
  readonly #follow: (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void;

  constructor(follow: (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void) {
    this.#follow = follow;
  }

  // biome-ignore lint/suspicious/noThenProperty: its arguments settle the promise
  then(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
    this.#follow(resolve, reject);
  }
}

/** Rejects the promise that the function settles, a microtask later. The rejection may remain unhandled. */
export function rejectAwaited(promise: Promise<unknown>, resolve: (value: unknown) => void, error: unknown): void {
  const isPassedOn = passedOn.delete(error as object);
  if (!withoutFrames.delete(error as object) && !isPassedOn) {
    promise.catch(noop);
    resolve(new Following((_, reject) => reject(error)));
    return;
  }
  const failing = settled.then(noop).then(function fail() {
    (isPassedOn ? addFrames : takeFrames)(error as object, fail);
    promise.catch(noop);
    throw error;
  });
  resolve(failing);
}

/**
 * Returns the stack of the code that awaits a promise.
 *
 * @param settle - The function that settles the promise; it has no effect afterwards.
 * @param onReplaced - Called with the function that settles it from then on.
 */
export function probeAwaited(
  settle: (value: unknown) => void,
  onReplaced: (settle: (value: unknown) => void) => void,
): Promise<string> {
  return new Promise((tell) => {
    const probing = settled.then(noop).then(() => {
      tell(asyncFrames(stackNow()).join("\n"));
      return new Following(onReplaced);
    });
    settle(probing);
  });
}

/** Returns an error that is about to be thrown here; if it has no stack yet, it gets that of the running code. */
export function thrownHere<E>(error: E): E {
  if (withoutFrames.delete(error as object)) {
    takeFrames(error as object, thrownHere as () => unknown);
  }
  return error;
}

/** A rejected promise that may remain unhandled. */
export function quietRejection(error: unknown): Promise<never> {
  const promise = Promise.reject(thrownHere(error));
  promise.catch(noop);
  return promise;
}

/**
 * A promise with the same outcome, whose rejection may remain unhandled. For V8, code that awaits it awaits the given
 * promise.
 *
 * @param onRejected - Called when the promise is rejected.
 */
export function quiet<T>(promise: Promise<T>, onRejected: (error: unknown) => void = noop): Promise<T> {
  const followed = new Promise<T>((resolve, reject) => {
    promise.then(resolve, (error: unknown) => {
      followed.catch(noop);
      onRejected(error);
      reject(error);
    });
  });
  return followed;
}
