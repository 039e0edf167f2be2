/** IdleTimer: ends a connection after a time without traffic. */
import { TimeoutError } from "../../io-errors.ts";
import { fromCallback } from "../async-stacks.ts";
import { clearTimeout, setTimeout, time } from "../clock.ts";
import { LONGEST_TIMEOUT } from "../timers.ts";

/** Uses one timer, which is set again only when it fires, because `touch()` is called for every chunk. */
export class IdleTimer {
  readonly #seconds: number;
  readonly #onIdle: (error: TimeoutError) => void;
  #touched = time();
  #timer: NodeJS.Timeout;

  constructor(seconds: number, onIdle: (error: TimeoutError) => void) {
    this.#seconds = seconds;
    this.#onIdle = onIdle;
    this.#timer = this.#start(seconds);
  }

  /** Records traffic. */
  touch(): void {
    this.#touched = time();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #start(delay: number): NodeJS.Timeout {
    return setTimeout(
      () => {
        const left = this.#touched + this.#seconds - time();
        if (left > 0) {
          this.#timer = this.#start(left);
        } else {
          this.#onIdle(fromCallback(new TimeoutError(`no data for ${this.#seconds} seconds (idleTimeout)`)));
        }
      },
      Math.min(delay * 1000, LONGEST_TIMEOUT),
    );
  }
}
