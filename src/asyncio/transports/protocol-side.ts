/**
 * ProtocolSide: the half of a transport that its protocol sees. It calls the protocol, and answers `getExtraInfo()`.
 * The other half is `socket-transport.ts`, which faces the stream.
 *
 * Theory of operation. Callbacks of the protocol run in the connection's Context: the runtimes disagree about which
 * Context a socket event runs in, and after a pause it is the Context of the code that called `resume()`.
 * StreamReaderProtocol runs user code only inside the handler's task, so its methods are called without entering a
 * Context, which would cost as much as some of the methods themselves.
 *
 * A base class, and not an object of its own: a connection needs no memory for a second object, nor time to reach it.
 */
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Context } from "../../contextvars/context.ts";
import { Flow, runInFlow } from "../../contextvars/current.ts";
import { RuntimeError } from "../../errors.ts";
import { tell, writingPaused, writingResumed } from "../debug/channels.ts";
import { callExceptionHandler } from "../events.ts";
import type { BaseProtocol, BufferedProtocol, Protocol } from "../protocols/protocols.ts";
import { ownAddress, peerAddress, type SocketAddress } from "./addresses.ts";
import { type TlsRequest, tlsInfo } from "./tls.ts";

/** Arguments of a ProtocolSide. */
export interface ProtocolSideInit {
  readonly socket: Duplex;
  /** The source or sink that the stream was created from, if it is not a socket. */
  readonly pipe?: object;
  readonly protocol: BaseProtocol;
  /** The connection's Context. */
  readonly context: Context;
  /** Addresses that are already known, or that the socket cannot report because they are paths. */
  readonly peername?: string | undefined;
  readonly sockname?: SocketAddress | string | undefined;
}

export abstract class ProtocolSide {
  #protocol: BaseProtocol;
  readonly #context: Context;
  /** The flow in which the protocol is called; created when it is needed. */
  #flow: Flow | null = null;
  readonly #originalSocket: Duplex;
  readonly #pipe: object | undefined;
  readonly #peername: SocketAddress | string | undefined;
  readonly #sockname: SocketAddress | string | undefined;
  /** The TLS values of `getExtraInfo()`. */
  #tlsExtra: ReadonlyMap<string, unknown> | null = null;

  constructor({ socket, pipe, protocol, context, peername, sockname }: ProtocolSideInit) {
    this.#protocol = protocol;
    this.#context = context;
    this.#originalSocket = socket;
    this.#pipe = pipe;
    // Read now, because a socket no longer knows its addresses after a failure.
    this.#peername = peername ?? peerAddress(socket);
    this.#sockname = sockname ?? ownAddress(socket);
  }

  /** Whether the protocol still gets data. */
  protected abstract get isOpen(): boolean;

  /** @internal Ends the connection with an error. */
  abstract _fail(error: unknown): void;

  // biome-ignore lint/suspicious/noExplicitAny: the interface says by the name what it is
  getExtraInfo(name: string, fallback: unknown = null): any {
    return this.#lookUpExtra(name) ?? fallback;
  }

  #lookUpExtra(name: string): unknown {
    switch (name) {
      case "socket":
        return this.#pipe === undefined ? this.#originalSocket : null;
      case "pipe":
        return this.#pipe;
      case "peername":
        return this.#peername;
      case "sockname":
        return this.#sockname;
      default:
        return this.#tlsExtra?.get(name);
    }
  }

  protected keepTlsInfo(socket: TLSSocket, request: TlsRequest): void {
    this.#tlsExtra = new Map(tlsInfo(socket, request));
  }

  getProtocol(): BaseProtocol {
    return this.#protocol;
  }

  setProtocol(protocol: BaseProtocol): void {
    this.#protocol = protocol;
  }

  /** @internal */
  _pauseWriting(): void {
    tell(writingPaused, { transport: this });
    this.callProtocol("pauseWriting", () => this.#protocol.pauseWriting());
  }

  /** @internal */
  _resumeWriting(): void {
    tell(writingResumed, { transport: this });
    this.callProtocol("resumeWriting", () => this.#protocol.resumeWriting());
  }

  /** Passes the chunk to the protocol. */
  protected deliver(chunk: Buffer): void {
    const protocol = this.#protocol;
    if (protocol._needsContext === false) {
      try {
        (protocol as Protocol).dataReceived(chunk);
      } catch (error) {
        this.#protocolFailed("dataReceived", error);
      }
    } else if (isBuffered(protocol)) {
      this.#fill(protocol, chunk);
    } else {
      this.callProtocol("dataReceived", () => (protocol as Protocol).dataReceived(chunk));
    }
  }

  /**
   * Copies the chunk into the protocol's buffers, until the connection closes or another protocol takes over, which
   * then gets the rest.
   */
  #fill(protocol: BufferedProtocol, chunk: Buffer): void {
    let done = 0;
    while (done < chunk.length && this.isOpen && this.#protocol === protocol) {
      let size = 0;
      this.callProtocol("getBuffer", () => {
        const buffer = protocol.getBuffer(chunk.length - done);
        size = Math.min(buffer.length, chunk.length - done);
        if (size === 0) {
          throw new RuntimeError("getBuffer() returned an empty buffer");
        }
        buffer.set(chunk.subarray(done, done + size));
      });
      done += size;
      if (size > 0) {
        this.callProtocol("bufferUpdated", () => protocol.bufferUpdated(size));
      }
    }
    if (done < chunk.length && this.isOpen) {
      this.deliver(chunk.subarray(done));
    }
  }

  /** Calls the protocol in the connection's Context. An error there ends only this connection. */
  protected callProtocol(method: string, callback: () => void): void {
    try {
      if (this.#protocol._needsContext === false) {
        callback();
      } else {
        this.#flow ??= Flow.entered(this.#context);
        runInFlow(this.#flow, callback);
      }
    } catch (error) {
      this.#protocolFailed(method, error);
    }
  }

  #protocolFailed(method: string, exception: unknown): void {
    callExceptionHandler({
      message: `Fatal error: protocol.${method}() call failed.`,
      exception,
      transport: this,
      protocol: this.#protocol,
    });
    this._fail(exception);
  }
}

/**
 * Whether the protocol receives bytes in its own buffers. It is recognized by its methods, since another copy of the
 * package has other classes.
 */
function isBuffered(protocol: BaseProtocol): protocol is BufferedProtocol {
  return "getBuffer" in protocol;
}
