/**
 * What TLS runs on in Deno.
 *
 * Theory of operation. Deno's TLSSocket loses an EOF that comes while it is not reading. So there it reads always: the
 * stream below it is held back when it is paused, and it has room for all that is on the way then. It is also closed too
 * early: with a session ticket unread, which has the system reset the connection and drop what was not sent yet, and
 * before an alert has left. So this stands between the stream and TLS, and takes its time to close.
 */
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { realClock } from "../clock.ts";
import { noop } from "../waits.ts";
import { nodeTls } from "./on-demand.ts";

/** More than is ever on the way to a TLSSocket whose stream is held back. */
export const AMPLE: number = 1024 * 1024; // bytes
/** Long enough for what was written last to leave. */
const A_TURN = 1; // milliseconds
/** Long enough for what is still on its way to arrive and be read, on a busy machine too: unread, it would be a reset. */
const LINGER = 25; // milliseconds

const ADDRESS = ["remoteAddress", "remotePort", "remoteFamily", "localAddress", "localPort", "localFamily"] as const;

export class Underlay extends Duplex {
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
    // After a reset, too: what came before it has to be decrypted first.
    stream.on("end", () => this.push(null));
    stream.on("close", () => this.push(null));
    this.on("error", noop);
  }

  /** Has the socket that was put on this pause and close by way of it, and know its addresses. */
  carry(socket: TLSSocket): TLSSocket {
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
        // What comes now is read and dropped.
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
    realClock.setTimeout(() => super.destroy(error), A_TURN);
    return this;
  }

  /** What TLS still says behind its end, as when both sides end at once, nobody waits for. */
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
