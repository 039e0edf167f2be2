/**
 * FlowControl: the writing half of a stream's protocol. It holds the waits of `drain()` and `waitClosed()`.
 *
 * Python: `FlowControlMixin` of `asyncio.streams`.
 */
import { ConnectionResetError } from "../../io-errors.ts";
import { quietRejection } from "../async-stacks.ts";
import { Protocol } from "../protocols/protocols.ts";
import type { Transport } from "../transports/transport.ts";
import { WaitSet } from "../wait-set.ts";
import { peerText, type ReadTransport } from "./read-transport.ts";

const done: Promise<void> = Promise.resolve();

export class FlowControl extends Protocol {
  #writingPaused = false;
  #drains: WaitSet<void> | null = null;
  #closeWaits: WaitSet<void> | null = null;
  /** How the connection was lost: with an error, or properly with `null`. */
  #lost: { readonly exception: unknown } | null = null;

  /** @internal None of its methods runs user code. */
  override get _needsContext(): boolean {
    return false;
  }

  override connectionLost(exception: unknown): void {
    this.#lost = { exception };
    this.#settle(this.#drains, exception);
    this.#settle(this.#closeWaits, exception);
  }

  override pauseWriting(): void {
    this.#writingPaused = true;
  }

  override resumeWriting(): void {
    this.#writingPaused = false;
    this.#settle(this.#drains, null);
  }

  /** @internal Whether the connection was accepted by a server on this side. */
  get serverSide(): boolean {
    return false;
  }

  /** @internal Whether `drain()` would wait. */
  get writingPaused(): boolean {
    return this.#writingPaused && this.#lost === null;
  }

  /** @internal Waits until there is room in the write buffer. */
  drain(transport: Transport | null = null): Promise<void> {
    if (this.#lost !== null) {
      return quietRejection(new ConnectionResetError("Connection lost"));
    }
    if (!this.#writingPaused) {
      return done;
    }
    return this.#waitForRoom(transport);
  }

  /** A function of its own, because one with closures costs an object for each call even where it creates none. */
  #waitForRoom(transport: Transport | null): Promise<void> {
    this.#drains ??= new WaitSet(() => this.#tellIfIdle());
    return this.#waitIn(this.#drains, transport, () => {
      const kibibytes = Math.ceil((transport?.getWriteBufferSize() ?? 0) / 1024);
      return `StreamWriter.drain() ${kibibytes} KiB waiting`;
    });
  }

  /** @internal Waits until the connection has ended. */
  waitClosed(transport: Transport | null = null): Promise<void> {
    if (this.#lost !== null) {
      return this.#lost.exception === null ? done : quietRejection(this.#lost.exception);
    }
    this.#closeWaits ??= new WaitSet(() => this.#tellIfIdle());
    return this.#waitIn(this.#closeWaits, transport, () => "StreamWriter.waitClosed()");
  }

  /** @internal Called when a wait begins, and when none is left. */
  _onWaiting(_isWaiting: boolean): void {}

  #waitIn(waits: WaitSet<void>, transport: Transport | null, what: () => string): Promise<void> {
    this._onWaiting(true);
    return waits.begin(
      () => [what(), peerText(transport)].filter((text) => text !== "").join(", "),
      () => (transport as ReadTransport | null)?._isOutside !== false,
    );
  }

  #tellIfIdle(): void {
    if (this.#drains?.isEmpty !== false && this.#closeWaits?.isEmpty !== false) {
      this._onWaiting(false);
    }
  }

  #settle(waits: WaitSet<void> | null, exception: unknown): void {
    if (exception === null) {
      waits?.resolveAll();
    } else {
      waits?.rejectAll(exception);
    }
    this.#tellIfIdle();
  }
}
