/** Promises that notice whether somebody awaits them. */
import { isCancelled } from "./exceptions.ts";
import { Future } from "./futures.ts";
import { quiet } from "./waits.ts";

/** What can be awaited as a promise, and notices that it is. */
abstract class Noticing<T> implements Promise<T> {
  readonly [Symbol.toStringTag] = "Promise";

  /** The promise; called each time that somebody asks for its outcome. */
  abstract _asked(): Promise<T>;

  // biome-ignore lint/suspicious/noThenProperty: to be awaited is what it is for
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

/** A promise of what the function gives, which is called when the promise is awaited for the first time. */
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
 * A promise whose error goes to the loop's exception handler when this is garbage and nobody has awaited it: the error may
 * be one of the user's own code. A cancellation is told to nobody.
 */
export class ReportedUnlessAwaited<T> extends Noticing<T> {
  readonly #promise: Promise<T>;
  #isAwaited = false;
  /** Has the error while nobody has asked for it. A Future of which that is true reports it once it is garbage. */
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
