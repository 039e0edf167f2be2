/**
 * How the events of a stream reach its transport, on Node past the stream's own buffer.
 *
 * While a socket flows and nobody else listens, its `push()` would buffer nothing and emit 'data' to the one listener
 * there is: the method that stands in for it calls the transport at once.
 *
 * Before libuv 1.52 (Node 20 and 22) a reset that comes together with data reads as an EOF: libuv takes the hang-up for
 * one, and the error stays in the system. So an EOF is looked at there. An address of the peer means that there was no
 * reset. Else reading again brings the error out. TLS would keep that from us, and then it is enough that the socket
 * below it has ended too: after a proper end of TLS it would still be reading.
 */
import { Socket } from "node:net";
import { nextTick } from "node:process";
import type { Duplex, Readable, Writable } from "node:stream";
import { repr } from "../../repr.ts";
import { setImmediate } from "../clock.ts";
import { HIDES_RESETS } from "../runtime.ts";
import { isNodeSocket } from "./node-sockets.ts";
import { systemError } from "./os-errors.ts";

/** What a transport is told. */
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

/** Under which a stream has the transport that listens to it. */
export const listenerKey: unique symbol = Symbol("listener");
/** Whether the EOF waits for the system to say that no reset is behind it. */
const endHeldKey: unique symbol = Symbol("endHeld");
type Carrier = Duplex & {
  [listenerKey]: SocketListener;
  [endHeldKey]?: boolean;
  push: Duplex["push"];
  allowHalfOpen: boolean;
  readonly _handle?: Handle | null;
};

/** Node's side of the system's socket. */
interface Handle {
  readStart(): number;
  /** 0 where there is a peer; Unix sockets cannot tell. */
  getpeername?(address: object): number;
  /** What TLS runs on. */
  readonly _parent?: Handle | null;
}

/** Has the listener hear of the stream's errors and of its end. */
export function listenForEnd(stream: Duplex, listener: SocketListener): void {
  const carrier = stream as Carrier;
  carrier[listenerKey] = listener;
  // The peer's EOF ends its side only, also on a socket that was made elsewhere.
  carrier.allowHalfOpen = true;
  stream.on("error", onError);
  stream.on("close", onClose);
  if (!(stream instanceof Socket)) {
    tellOfClose(stream, () => listener._onClose());
  }
  if (stream.destroyed) {
    // It has ended between the handshake and now, and may have said so already.
    nextTick(() => listener._onClose());
  }
}

/** Calls back when the stream is gone; one that was made with `emitClose: false` says nothing of it. */
export function tellOfClose(stream: Readable | Writable, onClose: () => void): void {
  // The messages of node:http have none, and always tell.
  const destroy = (stream._destroy as typeof stream._destroy | undefined)?.bind(stream);
  if (destroy === undefined) {
    return;
  }
  stream._destroy = (error, callback) => {
    const onDestroyed = (destroyError?: unknown): void => {
      callback(destroyError as Error | null);
      // After the error, which the stream tells of in a tick.
      nextTick(onClose);
    };
    try {
      destroy(error, onDestroyed);
    } catch (exception) {
      onDestroyed(exception);
    }
  };
}

/** Has the listener hear of data and of the peer's EOF, after `listenForEnd()`. */
export function listenForData(stream: Duplex, paused: boolean): void {
  stream.on("end", onEnd);
  stream.on("data", onData);
  if (isNodeSocket(stream)) {
    stream.push = push;
  }
  if (stream.readableEnded) {
    // The peer's EOF came before anybody listened.
    nextTick(() => onEnd.call(stream));
  }
  // Listening starts the flow, unless somebody paused the stream before.
  if (paused) {
    stream.pause();
  } else {
    stream.resume();
  }
}

/** Gives the stream back as it was. */
export function stopListening(stream: Duplex): void {
  if (stream.push === push) {
    stream.push = pushToBuffer;
  }
  stream.off("data", onData);
  stream.off("end", onEnd);
  stream.off("error", onError);
  stream.off("close", onClose);
}

/** Stands in for the stream's own method where that would do nothing but emit the chunk. */
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
  if (chunk instanceof Uint8Array) {
    listener._onData(chunk as Buffer);
  } else {
    listener._onError(new TypeError(`the socket gives ${repr(chunk)} and not bytes: do not call its setEncoding()`));
  }
}

function onEnd(this: Duplex): void {
  const listener = (this as Carrier)[listenerKey];
  const handle = HIDES_RESETS ? (this as Carrier)._handle : null;
  if (!handle || isOfStream(handle) || handle.getpeername?.({}) === 0) {
    listener._onEnd();
  } else if (handle._parent === undefined) {
    handle.readStart();
    (this as Carrier)[endHeldKey] = true;
    afterPoll(() => tellOfHeldEnd(this as Carrier));
  } else if (handle.getpeername !== undefined && handle._parent?.readStart() === 0) {
    this.destroy(systemError("ECONNRESET", "read"));
  } else {
    listener._onEnd();
  }
}

/** Whether TLS runs on a stream of JavaScript, which tells of its errors itself. */
function isOfStream({ _parent: below }: Handle): boolean {
  return typeof below === "object" && below !== null && "emitEOF" in below;
}

/** No reset has come behind the EOF. A stream whose other side has ended closes before the system is asked again. */
function tellOfHeldEnd(stream: Carrier): void {
  if (stream[endHeldKey]) {
    stream[endHeldKey] = false;
    if (stream.errored === null) {
      stream[listenerKey]._onEnd();
    }
  }
}

/** When the system has been asked what has become of the sockets. */
function afterPoll(callback: () => void): void {
  setImmediate(setImmediate, callback);
}

function onError(this: Duplex, error: unknown): void {
  (this as Carrier)[listenerKey]._onError(error);
}

function onClose(this: Duplex): void {
  tellOfHeldEnd(this as Carrier);
  (this as Carrier)[listenerKey]._onClose();
}
