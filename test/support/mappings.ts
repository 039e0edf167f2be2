/** Keys, maps and their nodes, for the tests of the persistent map. */
import { EMPTY, insert, type Key, type Mapping } from "#dist/contextvars/mapping.js";

/** Keys with exactly these hashes, which have to be distinct. */
export function keysWith(hashes: readonly number[]): Key[] {
  return hashes.map((hash) => ({ _hash: hash >>> 0 }));
}

/** Keys with hashes given out in turn, as the variables of a process have them. */
export function keysCounting(count: number, from = 1000): Key[] {
  return Array.from({ length: count }, (_, i) => ({ _hash: from + i }));
}

/** A map in which each of the keys has the value. */
export function mapOf(keys: readonly Key[], value: unknown): Mapping {
  return keys.reduce((map, key) => insert(map, key, value), EMPTY);
}

/** All nodes of a map, itself included. */
export function nodesOf(map: Mapping): Set<Mapping> {
  const nodes = new Set([map]);
  for (const branch of branchesOf(map)) {
    for (const node of nodesOf(branch)) {
      nodes.add(node);
    }
  }
  return nodes;
}

/** The nodes directly below the map's own. */
export function branchesOf({ slots }: Mapping): Mapping[] {
  const [keys, ...stored] = slots as [(Key | null)[], ...unknown[]];
  return stored.filter((_, place) => keys[place] === null) as Mapping[];
}

/**
 * Checks what a map's own description promises about its nodes.
 *
 * @throws {Error} If a node has a wrong size, wrong slots, or a branch that should have been pulled up.
 */
export function checkStructure(map: Mapping, isRoot = true): void {
  const { bitmap, size, slots } = map;
  const keys = slots[0] as (Key | null)[];
  const demand = (condition: boolean, what: string): void => {
    if (!condition) {
      throw new Error(`${what}: bitmap ${bitmap}, size ${size}, ${slots.length} slots`);
    }
  };
  demand(slots.length === keys.length + 1, "a node has one slot for each key, and one for the keys");
  if (bitmap === 0) {
    demand(isRoot || size === 0, "a flat map stands only at the top");
    demand(
      size <= 8 && keys.length === size && !keys.includes(null),
      "a flat map has at most eight pairs, all its own",
    );
    return;
  }
  demand(keys.length === placesOf(bitmap), "a node has one key for each place");
  demand(size >= 2, "a node holds two pairs or more");
  let counted = keys.filter((key) => key !== null).length;
  for (const branch of branchesOf(map)) {
    checkStructure(branch, false);
    demand(branch.bitmap !== 0, "a branch is a trie node");
    counted += branch.size;
  }
  demand(counted === size, "the size counts all pairs");
}

/** How many bits are set. */
function placesOf(bitmap: number): number {
  return Array.from({ length: 32 }, (_, bit) => (bitmap >>> bit) & 1).reduce((sum, bit) => sum + bit, 0);
}
