/**
 * The constructor of a Buffer that is a view of existing memory; `subarray()` calls it as well, but with more work
 * before.
 */
const View = (Buffer as unknown as { [Symbol.species]: unknown })[Symbol.species] as new (
  memory: ArrayBufferLike,
  start: number,
  size: number,
) => Buffer;

const NOTHING = Buffer.alloc(0);

/** A chunk of at most this size that follows another one is copied into one Buffer with its neighbours. */
const SMALL = 256; // bytes
/** Denotes the head in place of an index into the rest. */
const HEAD = -1;
/** Size of the Buffer that small chunks are copied into; small enough to be allocated from Node's pool. */
const SLAB = 2048; // bytes

/** What a queue of several chunks has besides the first one. An idle connection needs no memory for it. */
class Rest {
  /** The chunks after the head, from `start` on; earlier entries have already been taken. */
  chunks: Buffer[] = [];
  start = 0;
  /** The Buffer whose beginning is the last chunk, if that chunk collects small ones. */
  slab: Buffer | null = null;
  /** The chunk that the last search reached: its index, */
  lastPlace = HEAD;
  /**
   * and the number of bytes before that chunk: those of the head, including the ones already taken, and of the chunks
   * between.
   */
  lastPosition = 0;
}

/**
 * ByteQueue: bytes that have arrived and have not been taken yet. No promises, no sockets.
 *
 * Chunks are kept as they arrived. Bytes within one chunk are returned as a view of it, without a copy; only bytes that
 * span several chunks are joined. The first chunk has its own field, since most queues hold one chunk:
 *
 *     head             rest
 *     [ ...taken|left ] [ chunk ] [ chunk ] ...
 *               ^offset
 *
 * Small chunks that accumulate are the exception: they are copied into one, so that a peer that sends byte by byte
 * costs neither an object for each byte nor a search over all of them. So 128 KiB never hold more than a few hundred
 * chunks.
 *
 * A large limit allows many more chunks, so a search remembers the chunk it reached, and the next search starts from
 * there.
 */
export class ByteQueue {
  /** The number of bytes in the queue. */
  length = 0;
  #head: Buffer | null = null;
  #offset = 0;
  /** The head's memory; looked up when the first view of it is created, because the lookup costs as much as a view. */
  #memory: ArrayBufferLike | null = null;
  /** `null` unless there are several chunks. */
  #rest: Rest | null = null;

  /** Appends the chunk itself, or a copy if it is small and not the first. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) {
      return;
    }
    this.length += chunk.length;
    if (this.#head === null) {
      this.#head = chunk;
      return;
    }
    this.#rest ??= new Rest();
    if (chunk.length <= SMALL) {
      pushCopy(this.#rest, chunk);
    } else {
      this.#rest.chunks.push(chunk);
      this.#rest.slab = null;
    }
  }

  /** Takes the first `size` bytes, or all bytes if there are fewer. */
  take(size: number): Buffer {
    const head = this.#head;
    const start = this.#offset;
    if (head === null || size >= head.length - start) {
      return this.#takeWhole(size);
    }
    this.#offset = start + size;
    this.length -= size;
    this.#memory ??= head.buffer;
    return new View(this.#memory, head.byteOffset + start, size);
  }

  /** The rest of `take()`, kept apart because V8 inlines only small functions into `readline()`. */
  #takeWhole(size: number): Buffer {
    const head = this.#head;
    if (head === null) {
      return NOTHING;
    }
    const start = this.#offset;
    const left = head.length - start;
    if (size === left || this.length === left) {
      this.#nextChunk();
      this.length -= left;
      return start === 0 ? head : head.subarray(start);
    }
    const whole = this.copy(0, Math.min(size, this.length));
    this.#drop(whole.length);
    return whole;
  }

  /** Takes the rest of the first chunk as it arrived; returns `null` if the queue is empty. */
  takeChunk(): Buffer | null {
    const head = this.#head;
    return head === null ? null : this.take(head.length - this.#offset);
  }

  /** How many bytes there are through the byte, if it is in the first chunk after at most `limit` bytes; otherwise 0. */
  sizeThrough(byte: number, limit: number): number {
    const head = this.#head;
    if (head === null) {
      return 0;
    }
    const start = this.#offset;
    const found = head.indexOf(byte, start);
    return found < 0 || found - start > limit ? 0 : found + 1 - start;
  }

  /**
   * Joins the first `size` bytes, or all bytes if there are fewer, into one chunk, and returns that chunk.
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
      this.#drop(wanted);
      this.#unshift(front);
    }
    return this.#head;
  }

  /** The position in the first chunk where the bytes that were not taken begin. */
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
      this.#drop(size);
    }
    return part;
  }

  /** Drops the first `size` bytes, or all bytes if there are fewer. */
  drop(size: number): void {
    this.#drop(size);
  }

  #drop(size: number): void {
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

  /** Drops everything. */
  clear(): void {
    this.#head = null;
    this.#memory = null;
    this.#offset = 0;
    this.#rest = null;
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
    for (; position < end && place < this.#restEnd; place = this.#behind(place)) {
      const chunk = this.#chunk(place);
      const from = Math.max(start - position, 0);
      const to = Math.min(end - position, chunk.length);
      if (from < to) {
        chunk.copy(target, position + from - start, from, to);
      }
      position += chunk.length;
    }
  }

  /** The first position of the needle at or after `from` that ends before `end` or at it; -1 if there is none. */
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
    while (position < end && place < this.#restEnd) {
      const chunk = this.#chunk(place);
      const chunkEnd = position + chunk.length;
      if (this.#rest !== null) {
        // Remembered for the copy below and for the next search.
        this.#rest.lastPlace = place;
        this.#rest.lastPosition = position + this.#offset;
      }
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

  /** The chunk that contains the byte, as its index in the rest or `HEAD`, and the position where the chunk begins. */
  #find(byte: number): [place: number, position: number] {
    const headLeft = (this.#head as Buffer).length - this.#offset;
    if (byte < headLeft || this.#rest === null) {
      return [HEAD, -this.#offset];
    }
    const { chunks, start, lastPlace, lastPosition } = this.#rest;
    let place = lastPlace;
    let position = lastPosition - this.#offset;
    if (place === HEAD) {
      place = start;
      position = headLeft;
    }
    while (byte < position) {
      place -= 1;
      position -= (chunks[place] as Buffer).length;
    }
    while (place < chunks.length - 1 && byte >= position + (chunks[place] as Buffer).length) {
      position += (chunks[place] as Buffer).length;
      place += 1;
    }
    return [place, position];
  }

  /** The whole chunk; for the head, including the bytes already taken. */
  #chunk(place: number): Buffer {
    return (place === HEAD ? this.#head : this.#rest?.chunks[place]) as Buffer;
  }

  /** The place behind the last chunk. */
  get #restEnd(): number {
    return this.#rest?.chunks.length ?? 0;
  }

  #behind(place: number): number {
    return place === HEAD ? (this.#rest?.start ?? 0) : place + 1;
  }

  /** Inserts a chunk before all others. */
  #unshift(chunk: Buffer): void {
    if (this.#head !== null) {
      this.#rest ??= new Rest();
      this.#rest.chunks.splice(this.#rest.start, 0, this.#head.subarray(this.#offset));
      this.#rest.lastPlace = HEAD;
    }
    this.#head = chunk;
    this.#memory = null;
    this.#offset = 0;
    this.length += chunk.length;
  }

  #nextChunk(): void {
    this.#offset = 0;
    this.#memory = null;
    const rest = this.#rest;
    if (rest === null) {
      this.#head = null;
      return;
    }
    const { chunks } = rest;
    this.#head = chunks[rest.start] as Buffer;
    rest.start += 1;
    rest.lastPlace = HEAD;
    if (rest.start === chunks.length) {
      this.#rest = null;
    } else if (rest.start * 2 >= chunks.length) {
      // The entries of taken chunks are removed together, once they make up half of the array.
      chunks.splice(0, rest.start);
      rest.start = 0;
    }
  }
}

function pushCopy(rest: Rest, chunk: Buffer): void {
  const last = rest.chunks.length - 1;
  const used = rest.slab === null ? 0 : (rest.chunks[last] as Buffer).length;
  if (rest.slab !== null && used + chunk.length <= rest.slab.length) {
    chunk.copy(rest.slab, used);
    // Views of the slab that were returned earlier lie before this and do not change.
    rest.chunks[last] = rest.slab.subarray(0, used + chunk.length);
    return;
  }
  rest.slab = Buffer.allocUnsafe(SLAB);
  chunk.copy(rest.slab);
  rest.chunks.push(rest.slab.subarray(0, chunk.length));
}

/** Searching for one byte by its number is the fastest search. */
function indexIn(chunk: Buffer, needle: Buffer, from: number): number {
  return needle.length === 1 ? chunk.indexOf(needle[0] as number, from) : chunk.indexOf(needle, from);
}
