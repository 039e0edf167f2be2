/** Promises that notice whether they are awaited. */

import { quiet } from "./async-stacks.ts";
import { Future } from "./futures.ts";
import { isCancelled } from "./task-errors.ts";

/** A promise that notices when it is awaited. */
abstract class Noticing<T> implements Promise<T> {
  readonly [Symbol.toStringTag] = "Promise";

  /** Returns the underlying promise; called each time that code asks for the outcome. */
  abstract _asked(): Promise<T>;

  // biome-ignore lint/suspicious/noThenProperty: the class exists to be awaited
  then<R1 = T, R2 = never>(
    onFulfilled?: ((value: T) => R1 | PromiseLike<R1>) | null,
    onRejected?: ((reason: unknown) => R2 | PromiseLike<R2>) | null,
  ): Promise<R1 | R2> {
    return this._asked().then(onFulfilled, onRejected);
  }

  catch<R = never>(onRejected?: ((reason: unknown) => R | PromiseLike<R>) | null): Promise<T | R> {
    return this._asked().catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    return this._asked().finally(onFinally);
  }
}

/** A promise with the outcome of the function, which is called when the promise is awaited for the first time. */
export class WhenAwaited<T> extends Noticing<T> {
  readonly #start: () => Promise<T>;
  #promise: Promise<T> | null = null;

  constructor(start: () => Promise<T>) {
    super();
    this.#start = start;
  }

  _asked(): Promise<T> {
    this.#promise ??= quiet(this.#start());
    return this.#promise;
  }
}

/**
 * A promise whose error is reported to the loop's exception handler if the promise is garbage-collected without having
 * been awaited: the error may come from user code. A cancellation is not reported.
 */
export class ReportedUnlessAwaited<T> extends Noticing<T> {
  readonly #promise: Promise<T>;
  #isAwaited = false;
  /** Holds the error until code asks for it. A Future whose error was not retrieved reports it when it is collected. */
  #unasked: Future<never> | null = null;

  constructor(promise: Promise<T>) {
    super();
    this.#promise = quiet(promise, (error) => {
      if (!this.#isAwaited && !isCancelled(error)) {
        this.#unasked = new Future();
        this.#unasked.setException(error);
      }
    });
  }

  _asked(): Promise<T> {
    this.#isAwaited = true;
    this.#unasked?.exception();
    this.#unasked = null;
    return this.#promise;
  }
}
