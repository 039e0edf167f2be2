/**
 * Checks of a stream before it is taken over: it must carry bytes, and no other connection, reader or writer may use
 * it.
 */
import type { Duplex, Readable, Writable } from "node:stream";
import { ValueError } from "../../errors.ts";
import { className, repr } from "../../repr.ts";
import { listenerKey } from "./socket-events.ts";

type Side = "read" | "write";

/** The sides of streams that connections, readers and writers have taken. */
const taken: Readonly<Record<Side, WeakSet<object>>> = { read: new WeakSet(), write: new WeakSet() };

/** Takes both sides of the stream for one connection; returns `false` if other code has already taken either. */
export function claim(stream: Duplex): boolean {
  if (listenerKey in stream || taken.read.has(stream) || taken.write.has(stream)) {
    return false;
  }
  Object.assign(stream, { [listenerKey]: null });
  return true;
}

/** Takes one side of the stream; returns `false` if other code has already taken it. */
export function claimSide(stream: object, side: Side): boolean {
  if (listenerKey in stream || taken[side].has(stream)) {
    return false;
  }
  taken[side].add(stream);
  return true;
}

export function releaseSide(stream: object, side: Side): void {
  taken[side].delete(stream);
}

/** Throws unless the stream produces bytes. */
export function checkReadable(name: string, stream: Readable): void {
  const { readableEncoding } = stream;
  // An old stream that does not extend Node's classes has no such property.
  if ((readableEncoding ?? null) !== null) {
    throw notBytes(name, stream, `it returns strings, since setEncoding(${repr(readableEncoding)}) was called`);
  }
  if (stream.readableObjectMode) {
    throw notBytes(name, stream, "it is in object mode");
  }
}

/** Throws unless the stream accepts bytes. */
export function checkWritable(name: string, stream: Writable): void {
  if (stream.writableObjectMode) {
    throw notBytes(name, stream, "it is in object mode");
  }
}

function notBytes(name: string, stream: object, reason: string): ValueError {
  return new ValueError(`${name} must be a stream of bytes, got a ${className(stream)}: ${reason}`);
}
