/**
 * StreamReaderProtocol: connects a transport with a reader and a writer.
 *
 * It feeds the reader, and runs the handler of an accepted connection as a task; `FlowControl` is its writing half.
 * That handler, which has its own Context, is the only user code that its methods run.
 *
 * A handler may return and leave its connection open for other code, and a client connection belongs to the program
 * from the start. Such a connection is closed, with a ResourceWarning, once its reader and writer are no longer
 * referenced. To notice that, the protocol refers to the reader only through a WeakRef, except while a read, a drain()
 * or a waitClosed() waits. The writer holds the reader, so when the reader has been collected, the writer has been too.
 */
import { type Context, copyContext } from "../../contextvars/context.ts";
import { functionName, repr } from "../../repr.ts";
import { checkContext, checkFunction } from "../arguments.ts";
import { isDebug, warn } from "../debug/debug.ts";
import { callExceptionHandler } from "../events.ts";
import { failureOf } from "../futures.ts";
import { isCollected } from "../open.ts";
import { Task } from "../tasks.ts";
import type { Transport } from "../transports/transport.ts";
import { FlowControl } from "./flow-control.ts";
import { peerText } from "./read-transport.ts";
import { StreamReader } from "./reader.ts";
import { StreamWriter } from "./writer.ts";

/**
 * Called for each connection that a server accepts. An async function runs as a task in its own Context. If it throws
 * or is cancelled, the connection is closed. If it returns, the connection stays unchanged.
 */
export type ClientConnectedCb = (reader: StreamReader, writer: StreamWriter) => unknown;

/**
 * A protocol that feeds a reader, for use in a protocol factory: `loop.createConnection()`, `loop.createServer()` and
 * the like. `openConnection()` and `startServer()` create one themselves.
 *
 * With a `clientConnectedCb`, it creates a StreamWriter when the connection is made, and calls the function with the
 * reader and the writer, as `startServer()` does. Without one, create the StreamWriter yourself.
 *
 * Python: `asyncio.StreamReaderProtocol`. Differs: takes no loop; `clientConnectedCb` runs in a copy of the Context in
 * which the protocol was created.
 *
 * @example A stream over your own transport
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const loop = asyncio.getRunningLoop();
 * const server = await loop.createServer(
 *   () =>
 *     new asyncio.StreamReaderProtocol(new asyncio.StreamReader({ limit: 1024 }), async (reader, writer) => {
 *       writer.write(await reader.readline());
 *       writer.close();
 *     }),
 *   "127.0.0.1",
 *   0,
 * );
 *
 * const reader = new asyncio.StreamReader();
 * const { port } = server.sockets[0]!.getsockname();
 * const [transport, protocol] = await loop.createConnection(
 *   () => new asyncio.StreamReaderProtocol(reader),
 *   "127.0.0.1",
 *   port,
 * );
 * const writer = new asyncio.StreamWriter(transport, protocol, reader);
 * await writer.send("hello\n");
 * assert.equal(String(await reader.readline()), "hello\n");
 * writer.close();
 * server.close();
 * ```
 */
export class StreamReaderProtocol extends FlowControl {
  /**
   * The reader, while the handler runs or a read waits; `null` otherwise, when only the code that uses the reader holds
   * it.
   */
  #reader: StreamReader | null;
  #released: WeakRef<StreamReader> | null = null;
  /** The handler of an accepted connection, */
  readonly #handler: ClientConnectedCb | null;
  /** and the Context whose copy it runs in. */
  readonly #context: Context | null;
  /** The reader, while a `drain()` or `waitClosed()` waits: the waiting code need not hold it. */
  #waitedOn: StreamReader | null = null;
  #handlerTask: Task<unknown> | null = null;
  /** The transport of that connection. */
  #transport: Transport | null = null;

  /**
   * @param reader - The reader to feed.
   * @param clientConnectedCb - Called when the connection is made.
   * @param context - `clientConnectedCb` runs in a copy of it. By default a copy of the current Context.
   * @throws {TypeError} If `reader` is not a StreamReader, `clientConnectedCb` not a function, or `context` not a Context.
   */
  constructor(reader: StreamReader, clientConnectedCb: ClientConnectedCb | null = null, context?: Context) {
    super();
    if (!(reader instanceof StreamReader)) {
      throw new TypeError(`StreamReaderProtocol(): reader must be a StreamReader, got ${repr(reader)}`);
    }
    this.#reader = reader;
    this.#handler = clientConnectedCb;
    if (clientConnectedCb === null) {
      this.#context = null;
    } else {
      checkFunction("StreamReaderProtocol()", clientConnectedCb);
      checkContext("StreamReaderProtocol()", context);
      this.#context = context ?? copyContext();
    }
  }

  /** @internal User code runs only in a subclass, and in the handler, which has its own Context. */
  override get _needsContext(): boolean {
    return this.constructor !== StreamReaderProtocol;
  }

  override connectionMade(transport: Transport): void {
    const reader = this.#findReader() as StreamReader;
    reader.setTransport(transport);
    if (this.#handler !== null && this.#context !== null) {
      this.#runHandler(this.#handler, this.#context.copy(), reader, transport);
    }
  }

  override dataReceived(data: Buffer): void {
    this.#findReader()?._intake.feedNow(data);
  }

  override eofReceived(): boolean {
    this.#findReader()?._intake.feedEofNow();
    return true;
  }

  override connectionLost(exception: unknown): void {
    if (exception === null) {
      this.#findReader()?._intake.feedLastEof();
    } else {
      this.#findReader()?._intake.lose(exception);
    }
    super.connectionLost(exception);
  }

  /** @internal The task that runs the handler; `null` on a client connection. */
  get handlerTask(): Task<unknown> | null {
    return this.#handlerTask;
  }

  /** @internal */
  override get serverSide(): boolean {
    return this.#handler !== null;
  }

  /** @internal Holds the reader while a wait is in progress. */
  override _onWaiting(isWaiting: boolean): void {
    this.#waitedOn = isWaiting ? (this.#findReader() ?? null) : null;
  }

  #findReader(): StreamReader | undefined {
    return this.#reader ?? this.#waitedOn ?? this.#released?.deref();
  }

  #runHandler(handler: ClientConnectedCb, context: Context, reader: StreamReader, transport: Transport): void {
    this.#transport = transport;
    const writer = new StreamWriter(transport, this, reader);
    const task = new Task<unknown>(handler, { context, eagerStart: true }, this, [reader, writer]);
    // This object itself is the item, and gives the task its name: two more would cost every connection memory.
    task._enqueueWhenDone(this);
  }

  /** @internal */
  _taskMade(task: Task<unknown>): void {
    this.#handlerTask = task;
  }

  /** @internal */
  _taskName(): string {
    const peer = this.#transport === null ? "" : peerText(this.#transport);
    return `${functionName(this.#handler as ClientConnectedCb)}() ${peer}`.trimEnd();
  }

  /** @internal Runs when the handler has ended. */
  _step(): boolean {
    this.#handlerEnded(this.#handlerTask as Task<unknown>, this.#reader as StreamReader, this.#transport as Transport);
    return false;
  }

  #handlerEnded(task: Task<unknown>, reader: StreamReader, transport: Transport): void {
    const failure = failureOf(task);
    if (failure !== null) {
      const message = "Unhandled exception in client_connected_cb";
      callExceptionHandler({ message, exception: failure.error, transport });
    }
    if (failure !== null || task.cancelled()) {
      transport.close();
    } else if (!transport.isClosing()) {
      if (isDebug()) {
        const writer = new StreamWriter(transport, this, reader);
        warn(`a handler returned without closing its writer: ${writer}; close() it unless other code still uses it`);
      }
      this._releaseReader(reader, transport);
    }
  }

  /**
   * @internal From now on, the connection lives only as long as the program refers to the reader, or to the writer,
   * which holds the reader.
   */
  _releaseReader(reader: StreamReader, transport: Transport): void {
    this.#released = new WeakRef(reader);
    reader._intake.releaseTo(this);
    abandoned.register(reader, transport);
  }

  /** @internal */
  _keepAlive(reader: StreamReader | null): void {
    this.#reader = reader;
  }
}

const abandoned = new FinalizationRegistry<Transport>((transport) => {
  // Another protocol, which has no reader, may have replaced this one.
  if (!transport.isClosing() && transport.getProtocol() instanceof StreamReaderProtocol) {
    process.emitWarning(`unclosed <StreamWriter transport=${repr(transport)}>`, "ResourceWarning");
    // A test that collects what is left open has to find it there, whether or not the garbage collector was first.
    if (!isCollected(transport)) {
      transport.close();
    }
  }
});
