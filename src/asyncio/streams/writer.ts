/** StreamWriter: sending bytes. */
import { knowMethodsOf } from "../../contextvars/detached.ts";
import { RuntimeError } from "../../errors.ts";
import { ConnectionResetError, NotImplementedError } from "../../io-errors.ts";
import { angled, Inspectable, repr } from "../../repr.ts";
import { checkOptions } from "../arguments.ts";
import { quiet, quietRejection } from "../async-stacks.ts";
import { sleep } from "../sleep.ts";
import { isCancelled } from "../task-errors.ts";
import { WritePipeTransport } from "../transports/pipes.ts";
import type { ByteSink } from "../transports/sinks.ts";
import type {
  ExtraInfo,
  Placer,
  Placing,
  SSLContext,
  TlsOptions,
  Transport,
  Upgradable,
} from "../transports/transport.ts";
import { FlowControl } from "./flow-control.ts";
import type { StreamReader } from "./reader.ts";
import { writableStreamOf } from "./web-streams.ts";

/**
 * Writes bytes to a connection, and closes it.
 *
 * `write()` never waits; `await drain()` after it keeps the program from writing faster than the peer reads.
 *
 * Python: `asyncio.StreamWriter`. Differs: accepts strings, which are encoded as UTF-8; bytes are not copied and must
 * not be changed after the call.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const server = await asyncio.startServer(async (reader, writer) => {
 *   writer.write(await reader.readline());
 *   await writer.drain();
 *   writer.close();
 * }, "127.0.0.1", 0);
 * const { port } = server.sockets[0]!.getsockname();
 *
 * const [reader, writer] = await asyncio.openConnection("127.0.0.1", port);
 * writer.write("hello\n");
 * await writer.drain();
 * assert.equal(String(await reader.readline()), "hello\n");
 * writer.close();
 * await writer.waitClosed();
 * server.close();
 * await server.waitClosed();
 * ```
 */
export class StreamWriter extends Inspectable {
  readonly #transport: Transport;
  readonly #protocol: FlowControl;
  readonly #reader: StreamReader | null;

  /**
   * @param transport - The transport to write to.
   * @param protocol - The transport's protocol.
   * @param reader - The reader that the protocol feeds, or `null` if there is none.
   * @throws {TypeError} If `transport` is not a transport: for a stream, call `StreamWriter.from()`.
   */
  constructor(transport: Transport, protocol: FlowControl, reader: StreamReader | null) {
    super();
    if (typeof transport?.getWriteBufferSize !== "function") {
      throw new TypeError(
        `StreamWriter(): transport must be a Transport, got ${repr(transport)}; call StreamWriter.from()`,
      );
    }
    this.#transport = transport;
    this.#protocol = protocol;
    this.#reader = reader;
  }

  /**
   * Creates a writer from any sink of bytes: a Node Writable, such as `process.stdout`, a file or a response; or a
   * WritableStream, such as that of a CompressionStream.
   *
   * From then on, only the writer may use the sink. `drain()` waits until the sink has taken enough; `writeEof()` and
   * `close()` end the sink after everything written, and `waitClosed()` waits until the sink has taken everything. If
   * the sink fails, `waitClosed()` and a waiting `drain()` throw its error, or a BrokenPipeError if other code closes
   * the sink during a write. `transport.abort()` destroys the sink. `process.stdout` and `process.stderr` stay open.
   *
   * Python: has no such method; `loop.connect_write_pipe()`.
   *
   * @throws {TypeError} If `sink` is neither a Writable nor a WritableStream.
   * @throws {ValueError} If the sink is in object mode, has already ended, or was destroyed.
   * @throws {RuntimeError} If other code writes to the sink: a locked WritableStream, or a Writable that another writer
   * uses.
   *
   * @example
   * ```ts
   * import * as asyncio from "contextvars/asyncio";
   * import assert from "node:assert/strict";
   *
   * const gzip = new CompressionStream("gzip");
   * const unzipped = gzip.readable.pipeThrough(new DecompressionStream("gzip"));
   * const writer = asyncio.StreamWriter.from(gzip.writable);
   * const reader = asyncio.StreamReader.from(unzipped);
   * writer.write("hello\n");
   * writer.close();
   * assert.equal(String(await reader.read()), "hello\n");
   * ```
   */
  static from(sink: ByteSink): StreamWriter {
    const protocol = new FlowControl();
    return new StreamWriter(new WritePipeTransport("StreamWriter.from()", sink, protocol), protocol, null);
  }

  /** The transport underneath. Python: `StreamWriter.transport`. */
  get transport(): Transport {
    return this.#transport;
  }

  /**
   * Sends bytes, or a string as UTF-8. Never waits. Everything written in one turn of the event loop is sent together
   * at the end of the turn. Exception: if each of the peer's last eight messages was answered with a single write, the
   * first write of the next answer is sent immediately.
   *
   * The bytes are not copied: do not change them afterwards. On a lost connection they are dropped, and `drain()`
   * throws.
   *
   * Python: `StreamWriter.write()`. Differs: takes strings; does not copy.
   *
   * @throws {RuntimeError} After `writeEof()`.
   * @throws {TypeError} If `data` is neither a Uint8Array nor a string.
   */
  write(data: Uint8Array | string): void {
    this.#transport.write(data);
  }

  /** @internal Writes a small piece without a Buffer of its own; returns `false` if `write()` has to be called. */
  _place<T>(size: number, placer: Placer<T>, item: T): boolean {
    return (this.#transport as Transport & Partial<Placing>)._place?.(size, placer, item) === true;
  }

  /**
   * Sends several pieces in order, at the end of the turn: all of them, or none if it throws.
   *
   * Python: `StreamWriter.writelines()`. Differs: takes strings; does not copy.
   *
   * @throws {RuntimeError} After `writeEof()`.
   * @throws {TypeError} If a piece is neither a Uint8Array nor a string.
   * @throws Any error that the iterable throws.
   */
  writelines(data: Iterable<Uint8Array | string>): void {
    this.#transport.writelines(data);
  }

  /**
   * Waits while writing is paused: from the moment the write buffer exceeds 64 KiB (512 KiB with TLS) until it has
   * shrunk to 16 KiB (128 KiB). While writing is not paused, returns immediately; on a closing connection, after one
   * turn of the loop at the earliest.
   *
   * Any number of tasks may wait. A cancellation does not affect the written bytes.
   *
   * Python: `StreamWriter.drain()`.
   *
   * @throws {ConnectionResetError} If the connection is lost, or was closed on this side and everything has been sent.
   * @throws The error with which the connection was lost, or the one that was set on the reader.
   */
  drain(): Promise<void> {
    const exception = this.#reader?.exception() ?? null;
    if (exception !== null) {
      return quietRejection(exception);
    }
    return this.#transport.isClosing() ? quiet(this.#drainClosing()) : this.#protocol.drain(this.#transport);
  }

  /**
   * Closes the connection once everything written has been sent. Does not wait.
   *
   * Reads end as at EOF. Use `waitClosed()` to wait.
   *
   * Python: `StreamWriter.close()`.
   */
  close(): void {
    this.#transport.close();
  }

  /** Whether the connection is closing or closed. Python: `StreamWriter.is_closing()`. */
  isClosing(): boolean {
    return this.#transport.isClosing();
  }

  /**
   * Waits until the connection is closed; call `close()` first. While `waitClosed()` waits, the connection counts as
   * referenced and is not closed by the garbage collector.
   *
   * Python: `StreamWriter.wait_closed()`. Differs: cancelling one call does not affect other calls.
   *
   * @throws The error with which the connection was lost, if there was one.
   */
  waitClosed(): Promise<void> {
    return this.#protocol.waitClosed(this.#transport);
  }

  /** Whether `writeEof()` is possible. Python: `StreamWriter.can_write_eof()`. */
  canWriteEof(): boolean {
    return this.#transport.canWriteEof();
  }

  /**
   * Sends an EOF after everything written. The peer's data can still be read.
   *
   * Python: `StreamWriter.write_eof()`.
   */
  writeEof(): void {
    this.#transport.writeEof();
  }

  /** Whether `drain()` would wait, so that a fast loop can skip the `await`. Python: has no such thing. */
  get needsDrain(): boolean {
    return this.#protocol.writingPaused || this.#transport.isClosing();
  }

  /**
   * Writes, then waits as `drain()` does.
   *
   * Python: has no such method; `writer.write(data); await writer.drain()`.
   *
   * @throws As `write()` and `drain()` do.
   */
  send(data: Uint8Array | string): Promise<void> {
    try {
      this.write(data);
    } catch (error) {
      return quietRejection(error);
    }
    return this.drain();
  }

  /**
   * Returns a web stream that writes bytes, or text as UTF-8, to the connection.
   *
   * A write to the stream ends when `drain()` would. The stream's `close()` writes an EOF and ends when everything has
   * been sent; the peer's data can still be read, and the writer's own `close()` closes the connection. The stream's
   * `abort()` calls `transport.abort()`. The stream fails when the connection is lost or closed.
   *
   * Python: has no such method.
   *
   * @example
   * ```ts
   * import * as asyncio from "contextvars/asyncio";
   * import assert from "node:assert/strict";
   *
   * const server = await asyncio.startServer(async (reader, writer) => {
   *   await reader.toReadableStream().pipeTo(writer.toWritableStream());
   *   writer.close();
   * }, "127.0.0.1", 0);
   *
   * const [reader, writer] = await asyncio.openConnection("127.0.0.1", server.sockets[0]!.getsockname().port);
   * await new Blob(["hello"]).stream().pipeTo(writer.toWritableStream());
   * assert.equal(String(await reader.read()), "hello");
   * writer.close();
   * server.close();
   * ```
   */
  toWritableStream(): WritableStream<Uint8Array | string> {
    return writableStreamOf(this);
  }

  /**
   * Starts TLS on the connection (STARTTLS). On an accepted connection this side is the server.
   *
   * Bytes written before the call are sent first, without TLS. A server passes bytes of the client's handshake that it
   * has already read on to TLS. A client rejects plaintext that is left in the reader's buffer, because an attacker may
   * have injected it. After a failure or a cancellation the connection is closed.
   *
   * Python: `StreamWriter.start_tls()`. Differs: a client rejects plaintext that is left in the buffer.
   *
   * @param ssl - Options of `node:tls`, or a `tls.SecureContext`; on the client's side also `true`.
   * @throws {SSLError} If TLS fails, or plaintext was rejected.
   * @throws {SSLCertVerificationError} If the peer's certificate cannot be trusted.
   * @throws {ConnectionAbortedError} If the handshake takes too long, or the peer does not read what was written before it.
   * @throws {ConnectionResetError} If the connection is lost.
   * @throws {RuntimeError} If a web stream or `relay()` has locked the reader.
   */
  startTls(ssl: SSLContext | true, options: TlsOptions = {}): Promise<void> {
    return quiet(this.#startTls(ssl, options));
  }

  /**
   * Returns information about the connection, even after it was closed.
   *
   * {@linkcode ExtraInfo} lists the names and their meaning.
   *
   * Python: `StreamWriter.get_extra_info()`. Differs: addresses are objects that print as `127.0.0.1:8081`.
   *
   * @returns The information; `null` if nothing is known.
   */
  getExtraInfo<N extends keyof ExtraInfo>(name: N): ExtraInfo[N];
  /**
   * Returns information about the connection, or the fallback if nothing is known.
   *
   * @param fallback - The value to return if nothing is known.
   */
  getExtraInfo<N extends keyof ExtraInfo, F>(name: N, fallback: F): NonNullable<ExtraInfo[N]> | F;
  getExtraInfo(name: string, fallback?: unknown): unknown;
  getExtraInfo(name: string, fallback: unknown = null): unknown {
    return this.#transport.getExtraInfo(name, fallback);
  }

  /**
   * Closes the connection and waits until it is closed: `await using`. Does not throw if the connection was lost.
   *
   * Python: has no such thing on a writer.
   */
  [Symbol.asyncDispose](): Promise<void> {
    return quiet(this.#dispose());
  }

  /** Python's `repr()`: `<StreamWriter transport=... reader=...>`. */
  override toString(): string {
    const reader = this.#reader === null ? "" : `reader=${repr(this.#reader)}`;
    return angled("StreamWriter", `transport=${repr(this.#transport)}`, reader);
  }

  async #startTls(ssl: SSLContext | true, options: TlsOptions): Promise<void> {
    checkOptions("startTls()", options, ["serverHostname", "sslHandshakeTimeout", "sslShutdownTimeout"]);
    const transport = this.#transport as Transport & Partial<Upgradable>;
    if (transport._startTls === undefined) {
      throw new NotImplementedError(`startTls() is not supported by transport ${repr(transport)}`);
    }
    if (this.#reader?._intake.isLocked === true) {
      throw new RuntimeError("startTls() is refused while a web stream or relay() uses the reader", {
        code: "ERR_READER_LOCKED",
      });
    }
    await this.drain();
    await transport._startTls(
      ssl,
      this.#protocol.serverSide,
      options,
      () => this.#reader?._intake.takeAll() ?? Buffer.alloc(0),
    );
  }

  async #dispose(): Promise<void> {
    this.close();
    try {
      await this.waitClosed();
    } catch (error) {
      if (isCancelled(error)) {
        throw error;
      }
      // Code that leaves the block no longer needs the connection, so the error of a lost one does not matter.
    }
  }

  /** @internal Writes an EOF, and waits until everything has been sent. */
  async _finish(): Promise<void> {
    if (this.#transport.isClosing()) {
      await this.#drainClosing();
      return;
    }
    const transport = this.#transport;
    transport.writeEof();
    const [low, high] = transport.getWriteBufferLimits();
    // With these limits drain() waits until the write buffer is empty.
    transport.setWriteBufferLimits({ high: 0 });
    try {
      await this.#protocol.drain(transport);
    } finally {
      transport.setWriteBufferLimits({ low, high });
    }
  }

  /**
   * Waits a turn, so that a loop of write and drain lets a closing connection end, and then gets its error. Bytes
   * written before the close are still sent, and drain() waits for them; after that the connection counts as lost,
   * although the socket may report this a little later.
   */
  async #drainClosing(): Promise<void> {
    await sleep(0);
    if (this.#transport.getWriteBufferSize() === 0) {
      throw new ConnectionResetError("Connection lost");
    }
    await this.#protocol.drain(this.#transport);
  }
}

knowMethodsOf({ StreamWriter });
