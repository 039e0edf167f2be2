/**
 * The immutable map behind a Context.
 *
 * Theory of operation. A map never changes: `insert` and `remove` return a new one that shares as much as possible with
 * the old one. So copying a Context copies one pointer, and a map that is identical has the same content, which the
 * cache of a ContextVar relies on. Two layouts share one class, so that the reading code sees one shape:
 *
 *     flat (bitmap 0, up to FLAT_MAX pairs)      slots: key, value, key, value, ...
 *     trie (bitmap not 0)                        slots: two for each bit that is set, in bit order
 *                                                       key,  value   a pair
 *                                                       null, Mapping a branch, four bits of the hash further down
 *
 * Most programs have few variables, and scanning a short array is faster than hashing; from about ten variables on, the
 * trie is faster, and each change copies one node of up to 16 pairs on each of its log16(n) levels. With nodes of 32 a
 * change would hold a third more memory. A trie becomes flat again only when it has shrunk to half of FLAT_MAX, so that a
 * program that sets and resets variables around FLAT_MAX does not rebuild the map every time.
 *
 * Hashes are consecutive numbers, one for each variable of the process, so two keys never share one and there are no
 * collision nodes. Consecutive numbers also spread best: neighbours differ in the lowest four bits, which choose the
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
const BITS = 4;
const MASK = 15;

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
export const EMPTY: Mapping = new Mapping(0, 0, []);

/** The result of {@linkcode find} for a key that is not in the map; any other value can be stored. */
export const ABSENT: unique symbol = Symbol("absent");

/** The value stored for the key, or {@linkcode ABSENT}. */
export function find(map: Mapping, key: Key): unknown {
  if (map.bitmap === 0) {
    const index = flatIndex(map.slots, key);
    return index < 0 ? ABSENT : map.slots[index + 1];
  }
  let node = map;
  for (let hash = key._hash; ; hash >>>= BITS) {
    const bit = 1 << (hash & MASK);
    if ((node.bitmap & bit) === 0) {
      return ABSENT;
    }
    const index = slotOf(node.bitmap, bit);
    const found = node.slots[index];
    if (found === key) {
      return node.slots[index + 1];
    }
    if (found !== null) {
      return ABSENT;
    }
    node = node.slots[index + 1] as Mapping;
  }
}

/** Returns a map that contains the pair: the same map if it already has this very value for the key. */
export function insert(map: Mapping, key: Key, value: unknown): Mapping {
  if (map.bitmap !== 0) {
    return insertInTrie(map, key, key._hash, 0, value);
  }
  const { slots } = map;
  const index = flatIndex(slots, key);
  if (index >= 0) {
    if (Object.is(slots[index + 1], value)) {
      return map;
    }
    return new Mapping(0, map.size, map.size === 1 ? [key, value] : replaced(slots, index + 1, value));
  }
  if (map.size < FLAT_MAX) {
    return new Mapping(0, map.size + 1, withPair(slots, slots.length, key, value));
  }
  let trie = pairNode(key, value, 0);
  for (let i = 0; i < slots.length; i += 2) {
    const other = slots[i] as Key;
    trie = insertInTrie(trie, other, other._hash, 0, slots[i + 1]);
  }
  return trie;
}

/** Returns a map without the key: the same map if the key is not in it. */
export function remove(map: Mapping, key: Key): Mapping {
  if (map.bitmap === 0) {
    const index = flatIndex(map.slots, key);
    if (index < 0) {
      return map;
    }
    return map.size === 1 ? EMPTY : new Mapping(0, map.size - 1, withoutPair(map.slots, index));
  }
  const smaller = removeFromTrie(map, key, key._hash);
  if (smaller.size > FLATTEN_AT) {
    return smaller;
  }
  return new Mapping(0, smaller.size, entries(smaller).flat());
}

/** All pairs, in no particular order. */
export function entries<K extends Key>(map: Mapping): [K, unknown][] {
  const pairs: [K, unknown][] = [];
  collect(map, pairs);
  return pairs;
}

function collect<K extends Key>(node: Mapping, pairs: [K, unknown][]): void {
  const { slots } = node;
  for (let i = 0; i < slots.length; i += 2) {
    const key = slots[i];
    if (key === null) {
      collect(slots[i + 1] as Mapping, pairs);
    } else {
      pairs.push([key as K, slots[i + 1]]);
    }
  }
}

function flatIndex(slots: readonly unknown[], key: Key): number {
  for (let i = 0; i < slots.length; i += 2) {
    if (slots[i] === key) {
      return i;
    }
  }
  return -1;
}

function insertInTrie(node: Mapping, key: Key, hash: number, shift: number, value: unknown): Mapping {
  const { bitmap, slots } = node;
  const bit = 1 << (hash & MASK);
  const index = slotOf(bitmap, bit);
  if ((bitmap & bit) === 0) {
    return new Mapping(bitmap | bit, node.size + 1, withPair(slots, index, key, value));
  }
  const found = slots[index];
  const stored = slots[index + 1];
  if (found === key) {
    return Object.is(stored, value) ? node : new Mapping(bitmap, node.size, replaced(slots, index + 1, value));
  }
  const below = shift + BITS;
  // A pair that is already in this place moves one level down, into a branch that takes both pairs.
  const branch = found === null ? (stored as Mapping) : pairNode(found as Key, stored, below);
  const grown = insertInTrie(branch, key, hash >>> BITS, below, value);
  if (grown === branch) {
    return node;
  }
  const copy = replaced(slots, index, null);
  copy[index + 1] = grown;
  return new Mapping(bitmap, node.size - branch.size + grown.size, copy);
}

function removeFromTrie(node: Mapping, key: Key, hash: number): Mapping {
  const { bitmap, slots } = node;
  const bit = 1 << (hash & MASK);
  if ((bitmap & bit) === 0) {
    return node;
  }
  const index = slotOf(bitmap, bit);
  const found = slots[index];
  if (found === key) {
    return new Mapping(bitmap & ~bit, node.size - 1, withoutPair(slots, index));
  }
  if (found !== null) {
    return node;
  }
  const branch = slots[index + 1] as Mapping;
  const smaller = removeFromTrie(branch, key, hash >>> BITS);
  if (smaller === branch) {
    return node;
  }
  const copy = slots.slice();
  // A branch always holds two or more pairs, so the last pair moves back up.
  const single = smaller.size === 1;
  copy[index] = single ? smaller.slots[0] : null;
  copy[index + 1] = single ? smaller.slots[1] : smaller;
  return new Mapping(bitmap, node.size - 1, copy);
}

function pairNode(key: Key, value: unknown, shift: number): Mapping {
  return new Mapping(1 << ((key._hash >>> shift) & MASK), 1, [key, value]);
}

/** The index of the bit's pair: two slots for each lower bit that is set. */
function slotOf(bitmap: number, bit: number): number {
  let count = bitmap & (bit - 1);
  count -= (count >>> 1) & 0x5555_5555;
  count = (count & 0x3333_3333) + ((count >>> 2) & 0x3333_3333);
  return (Math.imul((count + (count >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24) * 2;
}

function replaced(slots: readonly unknown[], index: number, value: unknown): unknown[] {
  const copy = slots.slice();
  copy[index] = value;
  return copy;
}

/** The array is created in its final size: a push would reserve room that an immutable map never uses. */
function withPair(slots: readonly unknown[], index: number, key: Key, value: unknown): unknown[] {
  if (slots.length === 0) {
    return [key, value];
  }
  const copy = new Array<unknown>(slots.length + 2);
  for (let i = 0; i < index; i++) {
    copy[i] = slots[i];
  }
  copy[index] = key;
  copy[index + 1] = value;
  for (let i = index; i < slots.length; i++) {
    copy[i + 2] = slots[i];
  }
  return copy;
}

function withoutPair(slots: readonly unknown[], index: number): unknown[] {
  const copy = new Array<unknown>(slots.length - 2);
  for (let i = 0; i < index; i++) {
    copy[i] = slots[i];
  }
  for (let i = index; i < copy.length; i++) {
    copy[i] = slots[i + 2];
  }
  return copy;
}
