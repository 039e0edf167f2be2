/** What makes a Buffer that is a view of others' bytes; `subarray()` gets there by a longer way. */
const View = (Buffer as unknown as { [Symbol.species]: unknown })[Symbol.species] as new (
  memory: ArrayBufferLike,
  start: number,
  size: number,
) => Buffer;

const NOTHING = Buffer.alloc(0);

/** Up to this size a chunk behind another one is copied, together with its neighbours. */
const SMALL = 256; // bytes
/** Stands for the head where others have a place in the rest. */
const HEAD = -1;
/** Where small chunks are copied to; small enough to come out of Node's own pool. */
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
 *
 * A large limit allows many more chunks, so a search notes the chunk it came to, and the next one finds its way from there.
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
  /** The chunk that a search came to last: its place in the rest, */
  #lastPlace = HEAD;
  /** and how many bytes the head, with what was taken of it, and the chunks behind it have before that chunk. */
  #lastPosition = 0;

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

  /** Takes what is left of the first chunk, as it is; `null` if there is none. */
  takeChunk(): Buffer | null {
    const head = this.#head;
    return head === null ? null : this.take(head.length - this.#offset);
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

  /**
   * Puts the first `size` bytes into one chunk, all bytes if there are fewer, and returns that chunk.
   *
   * The bytes that were not taken begin at `frontStart`. The chunk may hold more of them than `size`.
   */
  front(size: number): Buffer {
    const wanted = Math.min(size, this.length);
    if (this.#head === null) {
      return NOTHING;
    }
    if (this.#head.length - this.#offset < wanted) {
      const front = this.copy(0, wanted);
      this.drop(wanted);
      this.#unshift(front);
    }
    return this.#head;
  }

  /** Where the bytes that were not taken begin in the first chunk. */
  get frontStart(): number {
    return this.#offset;
  }

  /** Takes the first `size` bytes, which lie in the first chunk, and returns those from `from` to before `to`. */
  takePart(size: number, from: number, to: number): Buffer {
    const head = this.#head as Buffer;
    const start = this.#offset;
    this.#memory ??= head.buffer;
    const part = new View(this.#memory, head.byteOffset + start + from, to - from);
    if (start + size < head.length) {
      this.#offset = start + size;
      this.length -= size;
    } else {
      this.drop(size);
    }
    return part;
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
    this.#lastPlace = HEAD;
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
    if (this.#head === null) {
      return;
    }
    let [place, position] = this.#find(start);
    for (; position < end && place < this.#rest.length; place = this.#behind(place)) {
      const chunk = this.#chunk(place);
      const from = Math.max(start - position, 0);
      const to = Math.min(end - position, chunk.length);
      if (from < to) {
        chunk.copy(target, position + from - start, from, to);
      }
      position += chunk.length;
    }
  }

  /** Where the bytes first stand at or behind `from` and wholly before `end`; -1 if they do not. */
  indexOf(needle: Buffer, from: number, end: number = this.length): number {
    const head = this.#head;
    if (head === null) {
      return -1;
    }
    if (end === head.length - this.#offset && end === this.length) {
      const found = indexIn(head, needle, this.#offset + from);
      return found < 0 ? -1 : found - this.#offset;
    }
    return this.#indexOfInChunks(needle, from, Math.min(end, this.length));
  }

  #indexOfInChunks(needle: Buffer, from: number, end: number): number {
    const overlap = needle.length - 1;
    let [place, position] = this.#find(from);
    while (position < end && place < this.#rest.length) {
      const chunk = this.#chunk(place);
      const chunkEnd = position + chunk.length;
      // Noted on the way, for the copy below and for the next search.
      this.#lastPlace = place;
      this.#lastPosition = position + this.#offset;
      const searched = chunkEnd > end ? chunk.subarray(0, end - position) : chunk;
      const found = indexIn(searched, needle, Math.max(from - position, 0));
      if (found >= 0) {
        return position + found;
      }
      // A match that begins in this chunk and ends in a later one.
      const windowStart = Math.max(from, position, chunkEnd - overlap);
      const windowEnd = Math.min(end, chunkEnd + overlap);
      if (overlap > 0 && windowEnd > chunkEnd) {
        const across = this.copy(windowStart, windowEnd).indexOf(needle);
        if (across >= 0) {
          return windowStart + across;
        }
      }
      position = chunkEnd;
      place = this.#behind(place);
    }
    return -1;
  }

  /** The chunk that the byte is in, as its place in the rest or `HEAD`, and where the chunk begins. */
  #find(byte: number): [place: number, position: number] {
    const headLeft = (this.#head as Buffer).length - this.#offset;
    if (byte < headLeft || this.#restStart === this.#rest.length) {
      return [HEAD, -this.#offset];
    }
    let place = this.#lastPlace;
    let position = this.#lastPosition - this.#offset;
    if (place === HEAD) {
      place = this.#restStart;
      position = headLeft;
    }
    while (byte < position) {
      place -= 1;
      position -= (this.#rest[place] as Buffer).length;
    }
    while (place < this.#rest.length - 1 && byte >= position + (this.#rest[place] as Buffer).length) {
      position += (this.#rest[place] as Buffer).length;
      place += 1;
    }
    return [place, position];
  }

  /** The whole chunk, also what was taken of the head. */
  #chunk(place: number): Buffer {
    return (place === HEAD ? this.#head : this.#rest[place]) as Buffer;
  }

  #behind(place: number): number {
    return place === HEAD ? this.#restStart : place + 1;
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

  /** Puts a chunk before all others. */
  #unshift(chunk: Buffer): void {
    if (this.#head !== null) {
      this.#rest.splice(this.#restStart, 0, this.#head.subarray(this.#offset));
    }
    this.#head = chunk;
    this.#memory = null;
    this.#offset = 0;
    this.#lastPlace = HEAD;
    this.length += chunk.length;
  }

  #nextChunk(): void {
    this.#offset = 0;
    this.#lastPlace = HEAD;
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
