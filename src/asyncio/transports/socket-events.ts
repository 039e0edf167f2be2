/**
 * How the events of a stream reach its transport, on Node past the stream's own buffer.
 *
 * While a socket flows and nobody else listens, its `push()` would buffer nothing and emit 'data' to the one listener
 * there is: the method that stands in for it calls the transport at once.
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { repr } from "../../repr.ts";
import { isNodeSocket } from "./node-sockets.ts";

/** What a transport is told. */
export interface SocketListener {
  _onData(chunk: Buffer): void;
  _onEnd(): void;
  _onError(error: unknown): void;
  _onClose(): void;
}

const listenerKey: unique symbol = Symbol("listener");
type Carrier = Duplex & { [listenerKey]: SocketListener; push: Duplex["push"]; allowHalfOpen: boolean };

/** Has the listener hear of the stream's errors and of its end. */
export function listenForEnd(stream: Duplex, listener: SocketListener): void {
  const carrier = stream as Carrier;
  carrier[listenerKey] = listener;
  // The peer's EOF ends its side only, also on a socket that was made elsewhere.
  carrier.allowHalfOpen = true;
  stream.on("error", onError);
  stream.on("close", onClose);
  if (!(stream instanceof Socket)) {
    tellOfClose(stream, listener);
  }
  if (stream.destroyed) {
    // It has ended between the handshake and now, and may have said so already.
    process.nextTick(() => listener._onClose());
  }
}

/** Takes the stream for one connection; false where another has it already. */
export function claim(stream: Duplex): boolean {
  if (listenerKey in stream) {
    return false;
  }
  Object.assign(stream, { [listenerKey]: null });
  return true;
}

/** A stream that was made with `emitClose: false` says nothing of its end. */
function tellOfClose(stream: Duplex, listener: SocketListener): void {
  const destroy = stream._destroy.bind(stream);
  stream._destroy = (error, callback) => {
    const onDestroyed = (destroyError?: unknown): void => {
      callback(destroyError as Error | null);
      // After the error, which the stream tells of in a tick.
      process.nextTick(() => listener._onClose());
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
    process.nextTick(() => (stream as Carrier)[listenerKey]._onEnd());
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
  (this as Carrier)[listenerKey]._onEnd();
}

function onError(this: Duplex, error: unknown): void {
  (this as Carrier)[listenerKey]._onError(error);
}

function onClose(this: Duplex): void {
  (this as Carrier)[listenerKey]._onClose();
}
