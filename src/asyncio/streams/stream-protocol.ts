/**
 * StreamReaderProtocol: what stands between a transport and a reader and writer.
 *
 * It feeds the reader, and runs the handler of an accepted connection as a task; `FlowControl` is its writing half. None
 * of its methods runs code of the user but that handler, which has a Context of its own.
 *
 * A connection may be left open by its handler, for other code to go on with it, and one that was made from this side is
 * nobody's but its user's. When nobody holds its reader or writer any more, it is closed with a ResourceWarning. To know
 * that, the protocol lets go of the reader, which the writer holds: from then on it finds it by a weak reference, but
 * while a read, a drain() or a waitClosed() waits, and its collection tells that both are gone.
 */
import { type Context, copyContext } from "../../contextvars/context.ts";
import { functionName, nameOf, repr } from "../../repr.ts";
import { checkFunction } from "../arguments.ts";
import { isDebug, warn } from "../debug/debug.ts";
import { callExceptionHandler } from "../events.ts";
import { Task } from "../tasks.ts";
import type { Transport } from "../transports/transport.ts";
import { FlowControl } from "./flow-control.ts";
import { peerText } from "./intake.ts";
import { StreamReader } from "./reader.ts";
import { StreamWriter } from "./writer.ts";

/**
 * Called for each connection that a server accepts. An async function runs as a task in a Context of its own; when it
 * fails or is cancelled, the connection is closed. When it returns, the connection stays as it is.
 */
export type ClientConnectedCb = (reader: StreamReader, writer: StreamWriter) => unknown;

/**
 * A protocol that feeds a reader, for a transport that is made with a protocol factory: `loop.createConnection()`,
 * `loop.createServer()` and the like. `openConnection()` and `startServer()` make one themselves.
 *
 * With a `clientConnectedCb` it makes a StreamWriter when the connection is made, and calls the function with both, as
 * `startServer()` does. Without one, make the StreamWriter yourself.
 *
 * Python: `asyncio.StreamReaderProtocol`. Differs: takes no loop; `clientConnectedCb` runs in a copy of the Context in
 * which the protocol was made.
 *
 * @example A stream over a transport of one's own
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
  /** The reader, while the handler runs or a read waits; else whoever uses it holds it. */
  #reader: StreamReader | null;
  #letGo: WeakRef<StreamReader> | null = null;
  /** The handler of an accepted connection, */
  readonly #handler: ClientConnectedCb | null;
  /** and the Context that it gets a copy of. */
  readonly #context: Context | null;
  /** The reader, while a `drain()` or `waitClosed()` waits: nobody need hold it but who waits for this connection. */
  #waitedOn: StreamReader | null = null;
  #handlerTask: Task<unknown> | null = null;

  /**
   * @param reader - The reader to feed.
   * @param clientConnectedCb - Called when the connection is made.
   * @param context - A copy of it is what `clientConnectedCb` runs in. By default a copy of the current Context.
   * @throws {TypeError} If `reader` is not a StreamReader, or `clientConnectedCb` not a function.
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
      this.#context = context ?? copyContext();
    }
  }

  /** @internal Code of the user's runs in a class that extends this one, and in the handler, which has its own Context. */
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
    this.#findReader()?._feedData(data);
  }

  override eofReceived(): boolean {
    this.#findReader()?.feedEof();
    return true;
  }

  override connectionLost(exception: unknown): void {
    if (exception === null) {
      this.#findReader()?.feedEof();
    } else {
      this.#findReader()?._connectionLost(exception);
    }
    super.connectionLost(exception);
  }

  /** @internal The task that runs the handler; `null` on a connection that was made from this side. */
  get handlerTask(): Task<unknown> | null {
    return this.#handlerTask;
  }

  /** @internal */
  override get serverSide(): boolean {
    return this.#handler !== null;
  }

  /** @internal Holds the reader meanwhile. */
  override _onWaiting(isWaiting: boolean): void {
    this.#waitedOn = isWaiting ? (this.#findReader() ?? null) : null;
  }

  #findReader(): StreamReader | undefined {
    return this.#reader ?? this.#waitedOn ?? this.#letGo?.deref();
  }

  #runHandler(callback: ClientConnectedCb, context: Context, reader: StreamReader, transport: Transport): void {
    const writer = new StreamWriter(transport, this, reader);
    const run = (): unknown => callback(reader, writer);
    Object.defineProperty(run, "name", { value: nameOf(callback) });
    const task: Task<unknown> = new Task(
      run,
      { context, eagerStart: true },
      {
        lazyName: new HandlerName(callback, transport),
        onMade: (made) => {
          this.#handlerTask = made;
        },
      },
    );
    task._observe(() => {
      if (task._failed) {
        const exception = task.exception();
        callExceptionHandler({ message: "Unhandled exception in client_connected_cb", exception, transport });
      }
      if (task._failed || task.cancelled()) {
        transport.close();
      } else if (!transport.isClosing()) {
        if (isDebug()) {
          warn(`a handler has returned with its writer open: ${writer}; close() it, unless other code goes on with it`);
        }
        this._letGo(reader, transport);
      }
    });
  }

  /** @internal The connection lives as long as somebody holds the reader, or the writer, which holds the reader. */
  _letGo(reader: StreamReader, transport: Transport): void {
    this.#letGo = new WeakRef(reader);
    reader._letGo(this);
    abandoned.register(reader, transport);
  }

  /** @internal */
  _hold(reader: StreamReader | null): void {
    this.#reader = reader;
  }
}

/** The name of a handler's task: its function and its peer. */
class HandlerName {
  readonly #callback: ClientConnectedCb;
  readonly #transport: Transport;

  constructor(callback: ClientConnectedCb, transport: Transport) {
    this.#callback = callback;
    this.#transport = transport;
  }

  toString(): string {
    return `${functionName(this.#callback)}() ${peerText(this.#transport)}`.trimEnd();
  }
}

const abandoned = new FinalizationRegistry<Transport>((transport) => {
  // Another protocol may have taken over, for which there never was a reader.
  if (!transport.isClosing() && transport.getProtocol() instanceof StreamReaderProtocol) {
    process.emitWarning(`unclosed <StreamWriter transport=${repr(transport)}>`, "ResourceWarning");
    transport.close();
  }
});
