/** How a transport ends its stream: after the peer's end of TLS, when everything has been sent, or immediately. */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TimeoutError } from "../../io-errors.ts";
import { fromCallback } from "../async-stacks.ts";
import { callLater } from "../events.ts";
import { isPlainNodeSocket } from "./node-sockets.ts";

/** A stream in memory, of contextvars/testing. */
interface MemoryStream extends Duplex {
  readonly _name: string;
  /** Destroys the stream as a reset: the other end could not distinguish `destroy()` from an EOF. */
  _resetAndDestroy(): void;
}

export function isOfMemory(stream: Duplex): stream is MemoryStream {
  return "_resetAndDestroy" in stream;
}

/**
 * Ends TLS and closes the socket when the peer has ended TLS as well. If the peer does not end TLS in time, calls
 * `onError` with a TimeoutError; `onError` then closes the socket.
 */
export function endTls(socket: Duplex, seconds: number, onError: (error: unknown) => void): void {
  const timer = callLater(seconds, () => onError(fromCallback(new TimeoutError("SSL shutdown timed out"))));
  socket.once("close", () => timer.cancel());
  socket.once("end", () => endAndDestroy(socket, onError));
  socket.end();
  // Bytes that still arrive are dropped, so that the end after them can be read.
  socket.resume();
  if (socket.readableEnded) {
    endAndDestroy(socket, onError);
  }
}

/** Closes the socket when everything was passed to the system, whether or not the peer closes its side. */
export function endAndDestroy(socket: Duplex, onError: (error: unknown) => void): void {
  if (isPlainNodeSocket(socket) && socket.readableEnded) {
    // The socket closes by itself when both sides have ended. With destroySoon() it would add and remove a listener.
    socket.end();
    return;
  }
  if ("destroySoon" in socket) {
    (socket as Socket).destroySoon();
    return;
  }
  socket.end((failure?: Error | null) => {
    try {
      // Without the error of an end that failed, the stream would be destroyed as after a success.
      socket.destroy(socket.writableFinished ? undefined : (failure ?? undefined));
    } catch (error) {
      onError(error);
    }
  });
}

/** Closes the stream immediately. */
export function destroyStream(stream: Duplex): void {
  if (isOfMemory(stream)) {
    stream._resetAndDestroy();
  } else {
    stream.destroy();
  }
}
