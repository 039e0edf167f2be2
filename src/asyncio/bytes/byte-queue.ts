/** What makes a Buffer that is a view of others' bytes; `subarray()` gets there by a longer way. */
const View = (Buffer as unknown as { [Symbol.species]: unknown })[Symbol.species] as new (
  memory: ArrayBufferLike,
  start: number,
  size: number,
) => Buffer;

const NOTHING = Buffer.alloc(0);

/** Up to this size a chunk behind another one is copied, together with its neighbours. */
const SMALL = 256; // bytes
/** Where they are copied to; small enough to come out of Node's own pool. */
const SLAB = 2048; // bytes

/**
 * ByteQueue: bytes that arrived and were not taken yet. No promises, no sockets.
 *
 * Chunks are kept as they came. What lies in one chunk is given out as a view of it, without a copy; only what spans
 * several is put together. The first chunk has its own field, since one is the rule:
 *
 *     head             rest
 *     [ ...taken|left ] [ chunk ] [ chunk ] ...
 *               ^offset
 *
 * Small chunks that pile up are the exception, and are copied into one: a peer that sends byte by byte must cost neither
 * an object for each byte nor a search over all of them. So there are never more than a few hundred chunks in 128 KiB.
 */
export class ByteQueue {
  /** How many bytes there are. */
  length = 0;
  #head: Buffer | null = null;
  #offset = 0;
  /** Where the head's bytes are; looked up when the first view of it is made, which costs as much as the view. */
  #memory: ArrayBufferLike | null = null;
  /** The chunks behind the head, from `#restStart` on; what is before that was taken already. */
  #rest: Buffer[] = [];
  #restStart = 0;
  /** What the last chunk of the rest is the beginning of, where that is a collection of small ones. */
  #slab: Buffer | null = null;

  /** Appends the chunk itself, or a copy if it is small and not the first. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) {
      return;
    }
    this.length += chunk.length;
    if (this.#head === null) {
      this.#head = chunk;
    } else if (chunk.length <= SMALL) {
      this.#pushCopy(chunk);
    } else {
      this.#rest.push(chunk);
      this.#slab = null;
    }
  }

  /** Takes the first `size` bytes, all of them if there are fewer. */
  take(size: number): Buffer {
    const head = this.#head;
    if (head === null) {
      return NOTHING;
    }
    const start = this.#offset;
    const left = head.length - start;
    if (size < left) {
      this.#offset = start + size;
      this.length -= size;
      this.#memory ??= head.buffer;
      return new View(this.#memory, head.byteOffset + start, size);
    }
    if (size === left || this.length === left) {
      this.#nextChunk();
      this.length -= left;
      return start === 0 ? head : head.subarray(start);
    }
    const whole = this.copy(0, Math.min(size, this.length));
    this.drop(whole.length);
    return whole;
  }

  /** Takes everything up to the byte and with it, if it is in the first chunk and no more than `limit` bytes before it. */
  takeThrough(byte: number, limit: number): Buffer | null {
    const head = this.#head;
    if (head === null) {
      return null;
    }
    const start = this.#offset;
    const found = head.indexOf(byte, start);
    return found < 0 || found - start > limit ? null : this.take(found + 1 - start);
  }

  /** Takes the first `size` bytes away, unseen. */
  drop(size: number): void {
    let toDrop = Math.min(size, this.length);
    this.length -= toDrop;
    while (this.#head !== null && toDrop > 0) {
      const left = this.#head.length - this.#offset;
      if (toDrop < left) {
        this.#offset += toDrop;
        return;
      }
      toDrop -= left;
      this.#nextChunk();
    }
  }

  /** Takes everything away, unseen. */
  clear(): void {
    this.#head = null;
    this.#memory = null;
    this.#offset = 0;
    this.#rest = [];
    this.#restStart = 0;
    this.#slab = null;
    this.length = 0;
  }

  /** The bytes from `start` to before `end`, in a new Buffer; they stay in the queue. */
  copy(start: number, end: number): Buffer {
    const target = Buffer.allocUnsafe(end - start);
    this.copyTo(target, start, end);
    return target;
  }

  /** Copies the bytes from `start` to before `end` into the target; they stay in the queue. */
  copyTo(target: Uint8Array, start: number, end: number): void {
    let position = 0;
    for (const chunk of this.#chunks()) {
      const from = Math.max(start - position, 0);
      const to = Math.min(end - position, chunk.length);
      if (from < to) {
        chunk.copy(target, position + from - start, from, to);
      }
      position += chunk.length;
      if (position >= end) {
        return;
      }
    }
  }

  /** Where the bytes first stand at or behind `from`; -1 if they do not. */
  indexOf(needle: Buffer, from: number): number {
    const head = this.#head;
    if (head === null) {
      return -1;
    }
    if (this.length === head.length - this.#offset) {
      const found = indexIn(head, needle, this.#offset + from);
      return found < 0 ? -1 : found - this.#offset;
    }
    return this.#indexOfInChunks(needle, from);
  }

  #indexOfInChunks(needle: Buffer, from: number): number {
    const overlap = needle.length - 1;
    let position = 0;
    for (const chunk of this.#chunks()) {
      const end = position + chunk.length;
      if (from < end) {
        const found = indexIn(chunk, needle, Math.max(from - position, 0));
        if (found >= 0) {
          return position + found;
        }
        // A match that begins in this chunk and ends in a later one.
        const windowStart = Math.max(from, position, end - overlap);
        const windowEnd = Math.min(this.length, end + overlap);
        if (overlap > 0 && windowEnd > end) {
          const across = this.copy(windowStart, windowEnd).indexOf(needle);
          if (across >= 0 && windowStart + across < end) {
            return windowStart + across;
          }
        }
      }
      position = end;
    }
    return -1;
  }

  #pushCopy(chunk: Buffer): void {
    const last = this.#rest.length - 1;
    const used = this.#slab === null ? 0 : (this.#rest[last] as Buffer).length;
    if (this.#slab !== null && used + chunk.length <= this.#slab.length) {
      chunk.copy(this.#slab, used);
      // What was given out of the slab is in front of this, and stays as it is.
      this.#rest[last] = this.#slab.subarray(0, used + chunk.length);
      return;
    }
    this.#slab = Buffer.allocUnsafe(SLAB);
    chunk.copy(this.#slab);
    this.#rest.push(this.#slab.subarray(0, chunk.length));
  }

  *#chunks(): Generator<Buffer> {
    if (this.#head === null) {
      return;
    }
    yield this.#offset === 0 ? this.#head : this.#head.subarray(this.#offset);
    for (let i = this.#restStart; i < this.#rest.length; i++) {
      yield this.#rest[i] as Buffer;
    }
  }

  #nextChunk(): void {
    this.#offset = 0;
    this.#memory = null;
    if (this.#restStart === this.#rest.length) {
      this.#head = null;
      return;
    }
    this.#head = this.#rest[this.#restStart] as Buffer;
    this.#restStart += 1;
    // The places of taken chunks are given back in one go when half of the array is such places.
    if (this.#restStart * 2 >= this.#rest.length) {
      this.#rest.splice(0, this.#restStart);
      this.#restStart = 0;
    }
    if (this.#rest.length === 0) {
      this.#slab = null;
    }
  }
}

/** A search for one byte by its number is the fastest there is. */
function indexIn(chunk: Buffer, needle: Buffer, from: number): number {
  return needle.length === 1 ? chunk.indexOf(needle[0] as number, from) : chunk.indexOf(needle, from);
}
