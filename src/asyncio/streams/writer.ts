/** StreamWriter: what is sent. */
import { knowMethodsOf } from "../../contextvars/detached.ts";
import { ConnectionResetError, NotImplementedError, RuntimeError } from "../../errors.ts";
import { inspectCustom, repr } from "../../repr.ts";
import { checkOptions } from "../arguments.ts";
import { isCancelled } from "../exceptions.ts";
import { sleep } from "../tasks.ts";
import { WritePipeTransport } from "../transports/pipes.ts";
import type { ByteSink } from "../transports/sinks.ts";
import type { ExtraInfo, SSLContext, TlsOptions, Transport, Upgradable } from "../transports/transport.ts";
import { quiet, rejected } from "../waits.ts";
import { FlowControl } from "./flow-control.ts";
import type { StreamReader } from "./reader.ts";
import { writableStreamOf } from "./web-streams.ts";

/**
 * Writes bytes to a connection, and closes it.
 *
 * `write()` never waits; `await drain()` after it keeps the program from writing faster than the peer reads.
 *
 * Python: `asyncio.StreamWriter`. Differs: strings can be written, as UTF-8; bytes are not copied and must not be changed
 * after they were written.
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
export class StreamWriter {
  readonly #transport: Transport;
  readonly #protocol: FlowControl;
  readonly #reader: StreamReader | null;

  /**
   * @param transport - What is written to.
   * @param protocol - The protocol of the transport.
   * @param reader - The reader that the protocol feeds; `null`: none.
   */
  constructor(transport: Transport, protocol: FlowControl, reader: StreamReader | null) {
    this.#transport = transport;
    this.#protocol = protocol;
    this.#reader = reader;
  }

  /**
   * Makes a writer of anything that takes bytes: a Writable of Node, such as `process.stdout`, a file or a response; a
   * WritableStream, such as that of a CompressionStream.
   *
   * The sink belongs to the writer from now on. `drain()` waits until it has taken enough; `writeEof()` and `close()` end
   * it after what was written, and `waitClosed()` waits until it has taken all. `waitClosed()`, and a `drain()` that waits,
   * throw the error that it fails with, a BrokenPipeError if others close it during a write. `transport.abort()` destroys
   * it. `process.stdout` and `process.stderr` stay open.
   *
   * Python: has no such method; `loop.connect_write_pipe()`.
   *
   * @throws {TypeError} If `sink` is neither a Writable nor a WritableStream.
   * @throws {ValueError} If it is in object mode, or has ended or was destroyed already.
   * @throws {RuntimeError} If other code writes to it: a locked WritableStream, or a Writable that another writer has.
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
   * Sends bytes, or a string as UTF-8. Never waits. What is written in one turn of the loop leaves together; but where
   * the peer's messages were answered by one write each, the first write of the next answer leaves at once.
   *
   * The bytes are not copied: do not change them afterwards. On a connection that is lost they are dropped, and
   * `drain()` throws.
   *
   * Python: `StreamWriter.write()`. Differs: takes strings; does not copy.
   *
   * @throws {RuntimeError} After `writeEof()`.
   * @throws {TypeError} If `data` is neither a Uint8Array nor a string.
   */
  write(data: Uint8Array | string): void {
    this.#transport.write(data);
  }

  /**
   * Sends several pieces, as `write()` would one after the other: all of them, or none where it throws.
   *
   * Python: `StreamWriter.writelines()`. Differs: takes strings; does not copy.
   *
   * @throws {RuntimeError} After `writeEof()`.
   * @throws {TypeError} If a piece is neither a Uint8Array nor a string.
   * @throws What the iterable throws.
   */
  writelines(data: Iterable<Uint8Array | string>): void {
    this.#transport.writelines(data);
  }

  /**
   * Waits until there is room in the write buffer: at once below 64 KiB, else until it has shrunk to 16 KiB.
   *
   * Any number of tasks may wait. A cancellation changes nothing about what was written.
   *
   * Python: `StreamWriter.drain()`.
   *
   * @throws {ConnectionResetError} If the connection is lost, or was closed on this side.
   * @throws The error that the connection was lost with, or that was set on the reader.
   */
  drain(): Promise<void> {
    const exception = this.#reader?.exception() ?? null;
    if (exception !== null) {
      return rejected(exception);
    }
    return this.#transport.isClosing() ? quiet(this.#drainClosing()) : this.#protocol.drain(this.#transport);
  }

  /**
   * Closes the connection, when everything that was written has been sent. Does not wait.
   *
   * Reads end as at EOF. To wait: `waitClosed()`.
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
   * Waits until the connection is closed; call `close()` before. While it waits, the connection is not taken for one
   * that nobody holds.
   *
   * Python: `StreamWriter.wait_closed()`. Differs: cancelling one call does not spoil another.
   *
   * @throws The error that the connection was lost with, if one was.
   */
  waitClosed(): Promise<void> {
    return this.#protocol.waitClosed(this.#transport);
  }

  /** Whether `writeEof()` is possible. Python: `StreamWriter.can_write_eof()`. */
  canWriteEof(): boolean {
    return this.#transport.canWriteEof();
  }

  /**
   * Sends an EOF, when everything that was written has been sent. The peer's data can still be read.
   *
   * Python: `StreamWriter.write_eof()`.
   */
  writeEof(): void {
    this.#transport.writeEof();
  }

  /** Whether `drain()` would wait: lets a fast loop leave the `await` out. Python: has no such thing. */
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
      return rejected(error);
    }
    return this.drain();
  }

  /**
   * Gives a web stream that writes to the connection, as bytes or as text in UTF-8.
   *
   * A write ends when `drain()` would. `close()` writes an EOF and ends when everything was sent; the peer's data can
   * still be read, and `close()` of the writer closes the connection. `abort()` is `transport.abort()`. When the connection
   * is lost or closed, the stream fails.
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
   * Puts TLS on the connection: STARTTLS. On an accepted connection this side is the server.
   *
   * What was written before is sent first, without TLS. A server hands on what it has read already of the client's
   * handshake. A client refuses bytes that came without TLS after the server had agreed to it. After a failure or a
   * cancellation the connection is closed.
   *
   * Python: `StreamWriter.start_tls()`. Differs: a client refuses plaintext that is left in the buffer.
   *
   * @param ssl - Options of `node:tls`, or a `tls.SecureContext`; on the client's side also `true`.
   * @throws {SSLError} If TLS fails, or plaintext was refused.
   * @throws {SSLCertVerificationError} If the peer's certificate is not to be trusted.
   * @throws {ConnectionAbortedError} If the handshake takes too long.
   * @throws {ConnectionResetError} If the connection is lost.
   * @throws {RuntimeError} If a web stream or `relay()` has the reader.
   */
  startTls(ssl: SSLContext | true, options: TlsOptions = {}): Promise<void> {
    return quiet(this.#startTls(ssl, options));
  }

  /**
   * What is known of the connection, also after it was closed.
   *
   * {@linkcode ExtraInfo} has the names and what they stand for.
   *
   * Python: `StreamWriter.get_extra_info()`. Differs: addresses are objects that print as `127.0.0.1:8081`.
   *
   * @param fallback - What to return where nothing is known. @default null
   */
  getExtraInfo<N extends keyof ExtraInfo>(name: N): ExtraInfo[N];
  getExtraInfo<N extends keyof ExtraInfo, F>(name: N, fallback: F): NonNullable<ExtraInfo[N]> | F;
  getExtraInfo(name: string, fallback?: unknown): unknown;
  getExtraInfo(name: string, fallback: unknown = null): unknown {
    return this.#transport.getExtraInfo(name, fallback);
  }

  /**
   * Closes the connection and waits until it is closed: `await using`. Never throws for a peer that is dead.
   *
   * Python: has no such thing on a writer.
   */
  [Symbol.asyncDispose](): Promise<void> {
    return quiet(this.#dispose());
  }

  /** Python's `repr()`: `<StreamWriter transport=... reader=...>`. */
  toString(): string {
    const reader = this.#reader === null ? "" : ` reader=${repr(this.#reader)}`;
    return `<StreamWriter transport=${repr(this.#transport)}${reader}>`;
  }

  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }

  async #startTls(ssl: SSLContext | true, options: TlsOptions): Promise<void> {
    checkOptions("startTls()", options, ["serverHostname", "sslHandshakeTimeout", "sslShutdownTimeout"]);
    const transport = this.#transport as Transport & Partial<Upgradable>;
    if (transport._startTls === undefined) {
      throw new NotImplementedError(`${repr(transport)} cannot put TLS on its connection`);
    }
    if (this.#reader?._isLocked === true) {
      throw new RuntimeError("startTls() is refused while a web stream or relay() has the reader", {
        code: "ERR_READER_LOCKED",
      });
    }
    await this.drain();
    await transport._startTls(
      ssl,
      this.#protocol.serverSide,
      options,
      () => this.#reader?._takeAll() ?? Buffer.alloc(0),
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
      // Whoever leaves the block has done with the connection; how it was lost no longer matters.
    }
  }

  /** @internal Writes an EOF, and waits until everything was sent. */
  async _finish(): Promise<void> {
    if (this.#transport.isClosing()) {
      await this.#drainClosing();
      return;
    }
    const transport = this.#transport;
    transport.writeEof();
    const [low, high] = transport.getWriteBufferLimits();
    // With these marks drain() waits until nothing is left.
    transport.setWriteBufferLimits({ high: 0 });
    try {
      await this.#protocol.drain(transport);
    } finally {
      transport.setWriteBufferLimits({ low, high });
    }
  }

  /**
   * A loop of write and drain on a dying connection lets it die, and hears of it. What was written before the close is
   * still sent and can be waited for; after that the connection is lost, though the socket may tell a little later.
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
