/**
 * StreamProtocol: what stands between a transport and a reader and writer.
 *
 * It feeds the reader, keeps the waits of `drain()` and `waitClosed()`, and runs the handler of an accepted connection
 * as a task. None of its methods runs code of the user but that handler, which has a Context of its own.
 */
import type { Context } from "../../contextvars/context.ts";
import { ConnectionResetError } from "../../errors.ts";
import { callExceptionHandler } from "../events.ts";
import { Protocol } from "../protocols/protocols.ts";
import { Task } from "../tasks.ts";
import type { Transport } from "../transports/transport.ts";
import { rejected, Wait } from "../waits.ts";
import type { StreamReader } from "./reader.ts";
import { StreamWriter } from "./writer.ts";

/**
 * Called for each connection that a server accepts. An async function runs as a task in a Context of its own; when it
 * fails or is cancelled, the connection is closed. When it returns, the connection stays as it is.
 */
export type ClientConnectedCb = (reader: StreamReader, writer: StreamWriter) => unknown;

/** What an accepted connection needs: the handler, and the connection's Context. */
export interface Handler {
  readonly callback: ClientConnectedCb;
  readonly context: Context;
}

const done: Promise<void> = Promise.resolve();

export class StreamProtocol extends Protocol {
  readonly #reader: StreamReader;
  readonly #handler: Handler | null;
  #writingPaused = false;
  #drains: Set<Wait<void>> | null = null;
  #closeWaits: Set<Wait<void>> | null = null;
  #lost = false;
  #handlerTask: Task<unknown> | null = null;
  /** What the connection was lost with. */
  #exception: unknown = null;

  constructor(reader: StreamReader, handler: Handler | null) {
    super();
    this.#reader = reader;
    this.#handler = handler;
  }

  override get _needsContext(): boolean {
    return false;
  }

  override connectionMade(transport: Transport): void {
    this.#reader.setTransport(transport);
    if (this.#handler !== null) {
      this.#runHandler(this.#handler, transport);
    }
  }

  override dataReceived(data: Buffer): void {
    this.#reader.feedData(data);
  }

  override eofReceived(): boolean {
    this.#reader.feedEof();
    return true;
  }

  override connectionLost(exception: unknown): void {
    this.#lost = true;
    this.#exception = exception;
    if (exception === null) {
      this.#reader.feedEof();
    } else {
      this.#reader._connectionLost(exception);
    }
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

  /** The task that runs the handler; `null` on a connection that was made from this side. */
  get handlerTask(): Task<unknown> | null {
    return this.#handlerTask;
  }

  /** Whether the connection was accepted, not made from this side. */
  get serverSide(): boolean {
    return this.#handler !== null;
  }

  /** Whether `drain()` would wait. */
  get writingPaused(): boolean {
    return this.#writingPaused && !this.#lost;
  }

  /** Waits until there is room in the write buffer. */
  drain(): Promise<void> {
    if (this.#lost) {
      return rejected(new ConnectionResetError("Connection lost"));
    }
    if (!this.#writingPaused) {
      return done;
    }
    this.#drains ??= new Set();
    return waitIn(this.#drains);
  }

  /** Waits until the connection is gone. */
  waitClosed(): Promise<void> {
    if (this.#lost) {
      return this.#exception === null ? done : rejected(this.#exception);
    }
    this.#closeWaits ??= new Set();
    return waitIn(this.#closeWaits);
  }

  #settle(waits: Set<Wait<void>> | null, exception: unknown): void {
    for (const wait of waits ?? []) {
      if (exception === null) {
        wait.resolve();
      } else {
        wait.reject(exception);
      }
    }
    waits?.clear();
  }

  #runHandler({ callback, context }: Handler, transport: Transport): void {
    const writer = new StreamWriter(transport, this, this.#reader);
    const task: Task<unknown> = new Task(() => callback(this.#reader, writer), {
      context: context.copy(),
      eagerStart: true,
    });
    this.#handlerTask = task;
    task._observe(() => {
      const exception = task.cancelled() ? null : task.exception();
      if (exception !== null) {
        callExceptionHandler({ message: "Unhandled exception in client_connected_cb", exception, transport });
      }
      if (exception !== null || task.cancelled()) {
        transport.close();
      }
    });
  }
}

/** A wait that stands in the set until it ends, in whatever way. */
function waitIn(waits: Set<Wait<void>>): Promise<void> {
  const wait: Wait<void> = new Wait(() => waits.delete(wait));
  waits.add(wait);
  return wait.begin();
}
