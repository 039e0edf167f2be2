/**
 * The stack of an error that ends a wait: that of the code that awaits.
 *
 * Theory of operation. Such an error is made in an event of a socket or in the ready queue, where no function of the
 * program is on the stack. V8 knows who awaits: while it runs a reaction of a promise, the stack of an Error goes on to the
 * async function that waits for the promise which the reaction settles, to the one that waits for that one, and so on.
 *
 * So the promise of a wait is not rejected but resolved with a second one, whose reaction takes the stack and throws. The
 * second one is settled two microtasks later, when the first follows it. Nothing of this is done where a wait ends well.
 *
 * The *probe* asks the same of a wait that goes on: its promise follows one whose reaction takes the stack, and which then
 * becomes what the promise of the wait was. It is made when somebody asks; the outcome of the wait comes a microtask later
 * than it would have, which is still within the same step of its task. What comes while the probe is under way is kept.
 *
 * V8 goes on from a promise only where it has one reaction. A promise that the program awaits must not have one of ours
 * beside it; the one that keeps a rejection from ending the process is added when the stack has been taken.
 */
import { stackNow } from "./debug/frames.ts";
import { ON_BUN } from "./runtime.ts";

export function noop(): void {}

/** So many functions of the library may stand between a wait and the program, whose frames are to have their number. */
const OWN_FRAMES = 12;

/** Gives the error the stack of what runs now, without the function. */
function takeFrames(error: object, without: () => unknown): void {
  const wanted = Error.stackTraceLimit;
  Error.stackTraceLimit = wanted + OWN_FRAMES;
  Error.captureStackTrace(error, without);
  Error.stackTraceLimit = wanted;
}

const settled: Promise<void> = Promise.resolve();

/** Errors that were made where no function of the program is on the stack, and have not come to any yet. */
const withoutFrames = new WeakSet<object>();

/** Notes that the error was made just now, in a callback: it gets the stack of the code that it comes to first. */
export function fromCallback<E>(error: E): E {
  if (typeof error === "object" && error !== null && !ON_BUN) {
    withoutFrames.add(error);
  }
  return error;
}

/** Rejects the promise that belongs to the two functions. The rejection may go unnoticed. */
export function rejectAwaited(
  promise: Promise<unknown>,
  resolve: (value: never) => void,
  reject: (error: unknown) => void,
  error: unknown,
): void {
  if (!withoutFrames.delete(error as object)) {
    promise.catch(noop);
    reject(error);
    return;
  }
  const failing = settled.then(noop).then(function fail() {
    takeFrames(error as object, fail);
    promise.catch(noop);
    throw error;
  });
  resolve(failing as never);
}

/** What a promise follows that is to be settled by the two functions. */
interface Replacing {
  then(resolve: (value: never) => void, reject: (error: unknown) => void): void;
}

/** The two functions that settle a promise. */
export interface Settling {
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Has the stack told of the code that awaits a promise.
 *
 * @param settling - What settles the promise; of no more use from here on.
 * @param onReplaced - Gets what settles it from then on.
 */
export function probeAwaited(settling: Settling, onReplaced: (settling: Settling) => void): Promise<string> {
  return new Promise((tell) => {
    const probing = settled.then(noop).then(() => {
      tell(stackNow());
      const replacing: Replacing = {
        // biome-ignore lint/suspicious/noThenProperty: what it is called with settles the promise from now on
        then(resolve: (value: never) => void, reject: (error: unknown) => void): void {
          onReplaced({ resolve, reject });
        },
      };
      return replacing as never;
    });
    settling.resolve(probing as never);
  });
}

/** The error, which is thrown here: a stack that is still to come is that of the code that runs. */
export function thrownHere<E>(error: E): E {
  if (withoutFrames.delete(error as object)) {
    takeFrames(error as object, thrownHere as () => unknown);
  }
  return error;
}

/** A rejected promise that may go unnoticed. */
export function rejected(error: unknown): Promise<never> {
  const promise = Promise.reject(thrownHere(error));
  promise.catch(noop);
  return promise;
}

/**
 * A promise of the same, whose rejection may go unnoticed. Whoever awaits it awaits the given one, for V8.
 *
 * @param onRejected - Called when it is rejected.
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
