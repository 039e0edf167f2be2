/**
 * The immutable map behind a Context.
 *
 * Theory of operation. A map never changes: `insert` and `remove` return a new one that shares as much as possible with
 * the old one. So copying a Context copies one pointer, and a map that is identical has the same content, which the
 * cache of a ContextVar relies on. Two layouts share one class, so that the reading code sees one shape:
 *
 *     flat (bitmap 0, up to FLAT_MAX pairs)      slots: keys, value, value, ...
 *     trie (bitmap not 0)                        slots: keys, and one for each bit that is set, in bit order
 *                                                       value     if there is a key in the same place of `keys`
 *                                                       Mapping   if there is null: a branch, five bits of the hash
 *                                                                 further down
 *
 * The keys have an array of their own because most changes replace a value: then the old map and the new one share the
 * keys, and only the values are copied. The array of values begins with the keys so that V8 stores all such arrays
 * alike; one that holds nothing but numbers would be stored differently, and slow down the reading of all others.
 *
 * Most programs have few variables, and scanning a short array is faster than hashing; from about ten variables on, the
 * trie is faster, and each change copies one node of up to 32 places on each of its log32(n) levels. A trie becomes flat
 * again only when it has shrunk to half of FLAT_MAX, so that a program that sets and resets variables around FLAT_MAX
 * does not rebuild the map every time.
 *
 * Hashes are consecutive numbers, one for each variable of the process, so two keys never share one and there are no
 * collision nodes. Consecutive numbers also spread best: neighbours differ in the lowest five bits, which choose the
 * place in the root.
 */

/** A key of the map: its hash is unique among all keys, and is an unsigned 32-bit number. */
export interface Key {
  readonly _hash: number;
}

/** A map with at most this many pairs is flat. */
const FLAT_MAX = 8;
/** A trie that has shrunk to this many pairs becomes flat again. */
const FLATTEN_AT = FLAT_MAX / 2;
const BITS = 5;
const MASK = 31;

/** One immutable map, and also one node of a trie. Made by {@linkcode insert} and {@linkcode remove}. */
export class Mapping {
  /** 0 if the map is flat; otherwise one bit for each place of this trie node that is in use. */
  readonly bitmap: number;
  /** The number of pairs, including those in branches. */
  readonly size: number;
  readonly slots: readonly unknown[];

  constructor(bitmap: number, size: number, slots: readonly unknown[]) {
    this.bitmap = bitmap;
    this.size = size;
    this.slots = slots;
  }
}

/** The empty map. */
export const EMPTY: Mapping = new Mapping(0, 0, [[]]);

/** The result of {@linkcode find} for a key that is not in the map; any other value can be stored. */
export const ABSENT: unique symbol = Symbol("absent");

/** The value stored for the key, or {@linkcode ABSENT}. */
export function find(map: Mapping, key: Key): unknown {
  if (map.bitmap === 0) {
    const place = keysOf(map).indexOf(key);
    return place < 0 ? ABSENT : map.slots[place + 1];
  }
  let node = map;
  for (let hash = key._hash; ; hash >>>= BITS) {
    const bit = 1 << (hash & MASK);
    if ((node.bitmap & bit) === 0) {
      return ABSENT;
    }
    const place = placeOf(node.bitmap, bit);
    const found = keysOf(node)[place];
    if (found === key) {
      return node.slots[place + 1];
    }
    if (found !== null) {
      return ABSENT;
    }
    node = node.slots[place + 1] as Mapping;
  }
}

/** Returns a map that contains the pair: the same map if it already has this very value for the key. */
export function insert(map: Mapping, key: Key, value: unknown): Mapping {
  if (map.bitmap !== 0) {
    return insertInTrie(map, key, key._hash, 0, value);
  }
  const place = keysOf(map).indexOf(key);
  if (place >= 0) {
    return withValue(map, place, value);
  }
  if (map.size < FLAT_MAX) {
    return new Mapping(0, map.size + 1, withPair(map, map.size, key, value));
  }
  let trie = pairNode(key, value, 0);
  for (const [other, otherValue] of entries(map)) {
    trie = insertInTrie(trie, other, other._hash, 0, otherValue);
  }
  return trie;
}

/** Returns a map without the key: the same map if the key is not in it. */
export function remove(map: Mapping, key: Key): Mapping {
  if (map.bitmap === 0) {
    const place = keysOf(map).indexOf(key);
    if (place < 0) {
      return map;
    }
    return map.size === 1 ? EMPTY : new Mapping(0, map.size - 1, withoutPair(map, place));
  }
  const smaller = removeFromTrie(map, key, key._hash);
  return smaller.size > FLATTEN_AT ? smaller : entries(smaller).reduce((flat, pair) => insert(flat, ...pair), EMPTY);
}

/** All pairs, in no particular order. */
export function entries<K extends Key>(map: Mapping): [K, unknown][] {
  const pairs: [K, unknown][] = [];
  collect(map, pairs);
  return pairs;
}

function collect<K extends Key>(node: Mapping, pairs: [K, unknown][]): void {
  keysOf(node).forEach((key, place) => {
    const stored = node.slots[place + 1];
    if (key === null) {
      collect(stored as Mapping, pairs);
    } else {
      pairs.push([key as K, stored]);
    }
  });
}

function insertInTrie(node: Mapping, key: Key, hash: number, shift: number, value: unknown): Mapping {
  const { bitmap, size, slots } = node;
  const bit = 1 << (hash & MASK);
  const place = placeOf(bitmap, bit);
  if ((bitmap & bit) === 0) {
    return new Mapping(bitmap | bit, size + 1, withPair(node, place, key, value));
  }
  const found = keysOf(node)[place] as Key | null;
  if (found === key) {
    return withValue(node, place, value);
  }
  const stored = slots[place + 1];
  const below = shift + BITS;
  // A pair that is already in this place moves one level down, into a branch that takes both pairs.
  const branch = found === null ? (stored as Mapping) : pairNode(found, stored, below);
  const grown = insertInTrie(branch, key, hash >>> BITS, below, value);
  if (grown === branch) {
    return node;
  }
  const copy = replaced(slots, place + 1, grown);
  if (found !== null) {
    copy[0] = replaced(keysOf(node), place, null);
  }
  return new Mapping(bitmap, size - branch.size + grown.size, copy);
}

function removeFromTrie(node: Mapping, key: Key, hash: number): Mapping {
  const { bitmap, size, slots } = node;
  const bit = 1 << (hash & MASK);
  if ((bitmap & bit) === 0) {
    return node;
  }
  const place = placeOf(bitmap, bit);
  const found = keysOf(node)[place];
  if (found === key) {
    return new Mapping(bitmap & ~bit, size - 1, withoutPair(node, place));
  }
  if (found !== null) {
    return node;
  }
  const branch = slots[place + 1] as Mapping;
  const smaller = removeFromTrie(branch, key, hash >>> BITS);
  if (smaller === branch) {
    return node;
  }
  // A branch always holds two or more pairs, so the last pair moves back up.
  const isSingle = smaller.size === 1;
  const copy = replaced(slots, place + 1, isSingle ? smaller.slots[1] : smaller);
  if (isSingle) {
    copy[0] = replaced(keysOf(node), place, keysOf(smaller)[0]);
  }
  return new Mapping(bitmap, size - 1, copy);
}

function pairNode(key: Key, value: unknown, shift: number): Mapping {
  return new Mapping(1 << ((key._hash >>> shift) & MASK), 1, [[key], value]);
}

/** The key in each place of the node; `null` for a branch. */
function keysOf(node: Mapping): readonly (Key | null)[] {
  return node.slots[0] as (Key | null)[];
}

/** The place of the bit: one for each lower bit that is set. */
function placeOf(bitmap: number, bit: number): number {
  let count = bitmap & (bit - 1);
  count -= (count >>> 1) & 0x5555_5555;
  count = (count & 0x3333_3333) + ((count >>> 2) & 0x3333_3333);
  return Math.imul((count + (count >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

/** The node with another value in the place: the same node if this very value is there. */
function withValue(node: Mapping, place: number, value: unknown): Mapping {
  const { bitmap, size, slots } = node;
  if (Object.is(slots[place + 1], value)) {
    return node;
  }
  return new Mapping(bitmap, size, size === 1 ? [slots[0], value] : replaced(slots, place + 1, value));
}

function replaced(array: readonly unknown[], index: number, value: unknown): unknown[] {
  const copy = array.slice();
  copy[index] = value;
  return copy;
}

/** The node's slots with one more pair. */
function withPair({ slots }: Mapping, place: number, key: Key, value: unknown): unknown[] {
  const copy = inserted(slots, place + 1, value);
  copy[0] = inserted(slots[0] as unknown[], place, key);
  return copy;
}

/** The array is created in its final size: a push would reserve room that an immutable map never uses. */
function inserted(array: readonly unknown[], index: number, value: unknown): unknown[] {
  const copy = new Array<unknown>(array.length + 1);
  for (let i = 0; i < index; i++) {
    copy[i] = array[i];
  }
  copy[index] = value;
  for (let i = index; i < array.length; i++) {
    copy[i + 1] = array[i];
  }
  return copy;
}

/** The node's slots without the pair. */
function withoutPair({ slots }: Mapping, place: number): unknown[] {
  const copy = slots.toSpliced(place + 1, 1);
  copy[0] = (slots[0] as unknown[]).toSpliced(place, 1);
  return copy;
}
