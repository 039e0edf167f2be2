/**
 * How a stream's events reach its transport; on Node, data bypasses the stream's own buffer.
 *
 * While a socket flows and has one 'data' listener, its `push()` would only emit 'data' to that listener. The method
 * that replaces it calls the transport directly.
 *
 * Before libuv 1.52 (Node 20 and 22) a reset that arrives together with data looks like an EOF: libuv mistakes the
 * hang-up for one, and the error stays in the system. So an EOF is examined there. If the peer still has an address,
 * there was no reset. Otherwise reading again reports the error. After a proper end of TLS the socket below would still
 * be reading; if that socket has ended as well, no address means a reset. A Unix socket has no address, so it is read
 * again, past TLS, which would hide the error.
 */
import { Socket } from "node:net";
import type { Duplex, Readable, Writable } from "node:stream";
import { isBytes, repr } from "../../repr.ts";
import { fromCallback, noop } from "../async-stacks.ts";
import { nextTick, setImmediate } from "../clock.ts";
import { HIDES_RESETS } from "../runtime.ts";
import { isNodeSocket } from "./node-sockets.ts";
import { systemError } from "./os-errors.ts";

/** The calls that a transport gets. */
export interface SocketListener {
  /** @internal */
  _onData(chunk: Buffer): void;
  /** @internal */
  _onEnd(): void;
  /** @internal */
  _onError(error: unknown): void;
  /** @internal */
  _onClose(): void;
}

/** The property of a stream that holds the transport listening to it. */
export const listenerKey: unique symbol = Symbol("listener");
/** Whether the EOF is held until the system has reported that no reset follows. */
const endHeldKey: unique symbol = Symbol("endHeld");
type Carrier = Duplex & {
  [listenerKey]: SocketListener;
  [endHeldKey]?: boolean;
  push: Duplex["push"];
  allowHalfOpen: boolean;
  readonly _handle?: Handle | null;
  /** The socket below TLS. */
  readonly _parent?: Duplex | null;
};

/** Node's handle of the system's socket. */
interface Handle {
  readStart(): number;
  /** Returns 0 if there is a peer; missing on Unix sockets. */
  getpeername?(address: object): number;
  /** What is read from now on goes to the handle's own socket, not to TLS. */
  useUserBuffer(buffer: Uint8Array): void;
  /** The handle below TLS. */
  readonly _parent?: Handle | null;
}

/** Reports the stream's errors and its close to the listener. */
export function listenForEnd(stream: Duplex, listener: SocketListener): void {
  const carrier = stream as Carrier;
  carrier[listenerKey] = listener;
  // The peer's EOF must end only the peer's side, even on a socket that other code created.
  carrier.allowHalfOpen = true;
  stream.on("error", onError);
  stream.on("close", onClose);
  if (!(stream instanceof Socket)) {
    tellOfClose(stream, () => listener._onClose());
  }
  if (stream.destroyed) {
    // The stream closed after the handshake, and may have emitted 'close' already.
    nextTick(() => listener._onClose());
  }
}

/** Calls back when the stream has closed, even with `emitClose: false`, where it emits nothing. */
export function tellOfClose(stream: Readable | Writable, onClose: () => void): void {
  // The messages of node:http have no such method, and always emit 'close'.
  const destroy = (stream._destroy as typeof stream._destroy | undefined)?.bind(stream);
  if (destroy === undefined) {
    return;
  }
  stream._destroy = (error, callback) => {
    const onDestroyed = (destroyError?: unknown): void => {
      callback(destroyError as Error | null);
      // After the error, which the stream emits in a tick.
      nextTick(onClose);
    };
    try {
      destroy(error, onDestroyed);
    } catch (exception) {
      onDestroyed(exception);
    }
  };
}

/** Reports data and the peer's EOF to the listener; called after `listenForEnd()`. */
export function listenForData(stream: Duplex, paused: boolean): void {
  if (isNodeSocket(stream)) {
    stream.push = push;
    stream.off("end", ownEndListener());
  }
  stream.on("end", onEnd);
  stream.on("data", onData);
  if (stream.readableEnded) {
    // The peer's EOF came before there was a listener.
    nextTick(() => onEnd.call(stream));
  }
  // Adding a listener starts the flow, unless the stream was paused before.
  if (paused) {
    stream.pause();
  } else {
    stream.resume();
  }
}

let endListener: (() => void) | undefined;

/**
 * The listener for 'end' that all of Node's sockets share. With `allowHalfOpen` it does nothing, but two listeners take
 * a hundred bytes more than one, in an array.
 */
function ownEndListener(): () => void {
  endListener ??= (new Socket().listeners("end")[0] as (() => void) | undefined) ?? noop;
  return endListener;
}

/** Restores the stream. */
export function stopListening(stream: Duplex): void {
  if (stream.push === push) {
    stream.push = pushToBuffer;
    stream.on("end", ownEndListener());
  }
  stream.off("data", onData);
  stream.off("end", onEnd);
  stream.off("error", onError);
  stream.off("close", onClose);
}

/** Replaces the stream's own method if that would do nothing except emit the chunk. */
function push(this: Duplex, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (this.readableFlowing !== true || this.readableLength > 0 || chunk === null || this.listenerCount("data") > 1) {
    return pushToBuffer.call(this, chunk, encoding);
  }
  (this as Carrier)[listenerKey]._onData(chunk as Buffer);
  return true;
}

/** The stream's own method. */
function pushToBuffer(this: Duplex, chunk: unknown, encoding?: BufferEncoding): boolean {
  return Socket.prototype.push.call(this, chunk, encoding);
}

function onData(this: Duplex, chunk: unknown): void {
  const listener = (this as Carrier)[listenerKey];
  if (isBytes(chunk)) {
    listener._onData(chunk as Buffer);
  } else {
    listener._onError(new TypeError(`the socket must return bytes, got ${repr(chunk)}; do not call its setEncoding()`));
  }
}

function onEnd(this: Duplex): void {
  const carrier = this as Carrier;
  const listener = carrier[listenerKey];
  // A stream of zlib has a handle of another kind.
  const handle = HIDES_RESETS && this instanceof Socket ? carrier._handle : null;
  if (!handle || isOfStream(handle) || handle.getpeername?.({}) === 0) {
    listener._onEnd();
    return;
  }
  const below = handle._parent;
  const hasEnded = (below ?? handle).readStart() === 0;
  if (below && !hasEnded) {
    listener._onEnd();
  } else if (below?.getpeername) {
    this.destroy(fromCallback(systemError("ECONNRESET", "read")));
  } else {
    below?.useUserBuffer(new Uint8Array(1));
    (this as Carrier)[endHeldKey] = true;
    afterPoll(() => tellOfHeldEnd(this as Carrier));
  }
}

/** Whether TLS runs on a JavaScript stream, which reports its errors itself. */
function isOfStream({ _parent: below }: Handle): boolean {
  return typeof below === "object" && below !== null && "emitEOF" in below;
}

/**
 * Reports a held EOF, if no reset has followed. Also called on close, since a stream whose other side has ended closes
 * before the system is asked again.
 */
function tellOfHeldEnd(stream: Carrier): void {
  if (!stream[endHeldKey]) {
    return;
  }
  stream[endHeldKey] = false;
  const below = stream._parent?.errored;
  if (below) {
    stream[listenerKey]._onError(below);
  } else if (stream.errored === null) {
    stream[listenerKey]._onEnd();
  }
}

/** Calls back after the next poll for socket events. */
function afterPoll(callback: () => void): void {
  setImmediate(setImmediate, callback);
}

function onError(this: Duplex, error: unknown): void {
  (this as Carrier)[listenerKey]._onError(error);
}

function onClose(this: Duplex): void {
  const carrier = this as Carrier;
  tellOfHeldEnd(carrier);
  carrier[listenerKey]._onClose();
  // Node's sockets outlive minor collections, and would keep all that a connection consists of until a major one.
  carrier[listenerKey] = NOBODY;
}

/** The listener of a stream that has closed. */
const NOBODY: SocketListener = { _onData() {}, _onEnd() {}, _onError() {}, _onClose() {} };
