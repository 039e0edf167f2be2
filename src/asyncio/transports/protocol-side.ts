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
import { Inspectable, isBytes, safeRepr } from "../../repr.ts";
import { checkProtocol } from "../arguments.ts";
import { tell, writingPaused, writingResumed } from "../debug/channels.ts";
import { callExceptionHandler, watchRejection } from "../events.ts";
import type { BaseProtocol, BufferedProtocol, Protocol } from "../protocols/protocols.ts";
import { keepsPeerAddress, ownAddress, peerAddress, type SocketAddress } from "./addresses.ts";
import { type TlsRequest, tlsInfo } from "./tls.ts";
import type { Transport } from "./transport.ts";

/** Arguments of a ProtocolSide. */
export interface ProtocolSideInit {
  readonly socket: Duplex;
  /** The source or sink that the stream was created from, if it is not a socket. */
  readonly pipe?: object;
  readonly protocol: BaseProtocol;
  /** The connection's Context, */
  readonly context: Context;
  /** unless other connections share it: then a copy is made if a protocol needs one. */
  readonly sharesContext?: boolean;
  /** Addresses that are already known, or that the socket cannot report because they are paths. */
  readonly peername?: string | undefined;
  readonly sockname?: SocketAddress | string | undefined;
}

export abstract class ProtocolSide extends Inspectable {
  #protocol: BaseProtocol;
  readonly #context: Context;
  /** The flow in which the protocol is called: `null` until it is needed, or `undefined` if the Context is shared. */
  #flow: Flow | null | undefined;
  readonly #originalSocket: Duplex;
  /** `undefined` as well until it is asked for, if the socket itself keeps it. */
  #peername: SocketAddress | string | undefined;
  readonly #sockname: SocketAddress | string | undefined;
  /** The values of `getExtraInfo()` for a pipe, or with TLS. */
  #extra: ReadonlyMap<string, unknown> | null;

  constructor({ socket, pipe, protocol, context, sharesContext, peername, sockname }: ProtocolSideInit) {
    super();
    this.#protocol = protocol;
    this.#context = context;
    this.#flow = sharesContext ? undefined : null;
    this.#originalSocket = socket;
    this.#extra = pipe === undefined ? null : new Map([["pipe", pipe]]);
    // Asked for now, because a socket no longer knows its addresses after a failure.
    this.#peername = peername ?? (keepsPeerAddress(socket) ? undefined : peerAddress(socket));
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
        return this.#extra?.has("pipe") ? null : this.#originalSocket;
      case "peername":
        this.#peername ??= peerAddress(this.#originalSocket);
        return this.#peername;
      case "sockname":
        return this.#sockname;
      default:
        return this.#extra?.get(name);
    }
  }

  protected keepTlsInfo(socket: TLSSocket, request: TlsRequest | undefined): void {
    this.#extra = new Map(tlsInfo(socket, request));
  }

  getProtocol(): BaseProtocol {
    return this.#protocol;
  }

  setProtocol(protocol: BaseProtocol): void {
    checkProtocol("setProtocol(): protocol", protocol);
    this.#protocol = protocol;
  }

  /** @internal */
  _pauseWriting(): void {
    tell(writingPaused, { transport: this });
    this.callProtocol("pauseWriting", (protocol) => protocol.pauseWriting(), undefined);
  }

  /** @internal */
  _resumeWriting(): void {
    tell(writingResumed, { transport: this });
    this.callProtocol("resumeWriting", (protocol) => protocol.resumeWriting(), undefined);
  }

  /** Passes the chunk to the protocol. */
  protected deliver(chunk: Buffer): void {
    if (this.#protocol._needsContext === false) {
      try {
        (this.#protocol as Protocol).dataReceived(chunk);
      } catch (error) {
        this.#protocolFailed("dataReceived", error);
      }
    } else {
      this.#deliverInContext(this.#protocol, chunk);
    }
  }

  /** A function of its own, because one with closures costs an object for each call even where it creates none. */
  #deliverInContext(protocol: BaseProtocol, chunk: Buffer): void {
    if (isBuffered(protocol)) {
      this.#fill(protocol, chunk);
    } else {
      this.callProtocol("dataReceived", dataReceived, chunk);
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
      const fillBuffer = (): void => {
        const buffer: unknown = protocol.getBuffer(chunk.length - done);
        if (!isBytes(buffer)) {
          throw new TypeError(`getBuffer() must return a Uint8Array, got ${safeRepr(buffer)}`);
        }
        size = Math.min(buffer.length, chunk.length - done);
        if (size === 0) {
          throw new RuntimeError("getBuffer() returned an empty buffer");
        }
        buffer.set(chunk.subarray(done, done + size));
      };
      this.callProtocol("getBuffer", fillBuffer, undefined);
      done += size;
      if (size > 0) {
        this.callProtocol("bufferUpdated", () => protocol.bufferUpdated(size), undefined);
      }
    }
    if (done < chunk.length && this.isOpen) {
      this.deliver(chunk.subarray(done));
    }
  }

  /** Calls the protocol in the connection's Context. An error there, or in its promise, ends only this connection. */
  protected callProtocol<A>(
    method: string,
    call: (protocol: BaseProtocol, argument: A) => unknown,
    argument: A,
  ): unknown {
    const protocol = this.#protocol;
    try {
      if (protocol._needsContext === false) {
        return call(protocol, argument);
      }
      this.#flow ??= Flow.entered(this.#flow === undefined ? this.#context.copy() : this.#context);
      const result = runInFlow(this.#flow, call, protocol, argument);
      if (result !== undefined) {
        watchRejection(result, (error) => this.#protocolFailed(method, error));
      }
      return result;
    } catch (error) {
      this.#protocolFailed(method, error);
      return undefined;
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

// The calls of the protocol, with what they need as an argument: a closure for each would be garbage.

function dataReceived(protocol: BaseProtocol, chunk: Buffer): unknown {
  return (protocol as Protocol).dataReceived(chunk);
}

export function made(protocol: BaseProtocol, transport: Transport): unknown {
  return protocol.connectionMade(transport);
}

export function eofReceived(protocol: BaseProtocol): unknown {
  return (protocol as Partial<Protocol>).eofReceived?.();
}

export function lost(protocol: BaseProtocol, error: unknown): unknown {
  return protocol.connectionLost(error);
}
