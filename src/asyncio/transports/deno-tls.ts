/**
 * The stream between TLS and its connection, in Deno.
 *
 * Theory of operation. Deno's TLSSocket loses an EOF that arrives while it is not reading. So in Deno it always reads:
 * pausing it pauses the stream below instead, and its buffer has room for everything that is in transit at that time.
 * Deno also closes the stream too early: before an alert has been sent, or with a session ticket unread, in which case
 * the system resets the connection and drops unsent bytes. So this stream stands between TLS and the connection and
 * delays the close.
 */
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { noop } from "../async-stacks.ts";
import { realClock } from "../clock.ts";
import { nodeTls } from "../on-demand.ts";

/** More than is ever in transit to a TLSSocket whose stream is paused. */
export const DENO_READ_AHEAD: number = 1024 * 1024; // bytes
/** Long enough for the last written bytes to be sent. */
const CLOSE_DELAY = 1; // milliseconds
/** Long enough for bytes in transit to arrive and be read, even on a busy machine: unread bytes would cause a reset. */
const LINGER = 25; // milliseconds

const ADDRESS = ["remoteAddress", "remotePort", "remoteFamily", "localAddress", "localPort", "localFamily"] as const;

export class TlsUnderlay extends Duplex {
  readonly #stream: Duplex;
  #held = false;

  constructor(stream: Duplex) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    stream.on("data", (chunk) => {
      if (!this.push(chunk) || this.#held) {
        stream.pause();
      }
    });
    // Even after a reset, because earlier bytes have to be decrypted first.
    stream.on("end", () => this.push(null));
    stream.on("close", () => this.push(null));
    this.on("error", noop);
  }

  /** Makes the TLSSocket on top of this stream pause and close through it, and report the connection's addresses. */
  attach(socket: TLSSocket): TLSSocket {
    Object.assign(socket, {
      pause: () => {
        this.#held = true;
        return nodeTls().TLSSocket.prototype.pause.call(socket);
      },
      resume: () => {
        this.#held = false;
        this.#stream.resume();
        return nodeTls().TLSSocket.prototype.resume.call(socket);
      },
      destroySoon: () => {
        this.once("finish", () => realClock.setTimeout(() => socket.destroy(), LINGER));
        socket.once("finish", () => this.end());
        // Bytes that arrive from now on are read and dropped.
        socket.resume();
        socket.end();
        if (socket.writableFinished) {
          this.end();
        }
      },
    });
    for (const name of ADDRESS) {
      Object.defineProperty(socket, name, { get: () => (this.#stream as Duplex & Partial<TLSSocket>)[name] });
    }
    return socket;
  }

  override destroy(error?: Error): this {
    realClock.setTimeout(() => super.destroy(error), CLOSE_DELAY);
    return this;
  }

  /**
   * Drops what TLS writes after the end, for example when both sides close at the same time: the peer does not need it.
   */
  override write(chunk: unknown, ...rest: unknown[]): boolean {
    if (!this.writableEnded) {
      return super.write(chunk, ...(rest as []));
    }
    const onWritten = rest.find((each) => typeof each === "function");
    if (onWritten !== undefined) {
      process.nextTick(onWritten);
    }
    return true;
  }

  override _read(): void {
    if (!this.#held) {
      this.#stream.resume();
    }
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#stream.write(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#stream.end(callback);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#stream.destroy();
    callback(error);
  }
}
