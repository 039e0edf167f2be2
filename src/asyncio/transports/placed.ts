/** Memory into which the small pieces of all connections are placed, one after the other. */
import { Buffer } from "node:buffer";
import type { Placer } from "./transport.ts";

/** The size of the memory; holds a batch of frames, and not much more. */
const SLAB = 16 * 1024; // bytes
/** The largest piece that is placed. */
export const PLACED = 2048; // bytes

let slab = Buffer.alloc(0);
let slabEnd = 0;

/** Pieces that lie one after the other. */
export interface Placed {
  readonly slab: Buffer;
  readonly start: number;
  end: number;
}

/** Places a piece. Returns `last` if it lies behind what was placed last, otherwise a new object. */
export function placeAfter<T>(last: Placed | null, size: number, placer: Placer<T>, item: T): Placed {
  if (slab.length - slabEnd < size) {
    slab = Buffer.allocUnsafeSlow(SLAB);
    slabEnd = 0;
  }
  const start = slabEnd;
  placer._putAt(slab, start, item);
  slabEnd += size;
  if (last === null || last.slab !== slab || last.end !== start) {
    return { slab, start, end: slabEnd };
  }
  last.end = slabEnd;
  return last;
}
