import { Future } from "./futures.ts";

/** An internal Future of the library. Messages describe a task that waits for it by the call that it belongs to. */
export class InnerFuture<T> extends Future<T> {
  readonly #what: () => string;

  /** @param what - Describes the call that waits, and what it waits for. */
  constructor(what: () => string) {
    super();
    this.#what = what;
  }

  /** @internal */
  override _awaitedAs(): string {
    return `<${this.#what()}>`;
  }
}
