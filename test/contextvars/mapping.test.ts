import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ABSENT, EMPTY, entries, find, insert, type Key, type Mapping, remove } from "#dist/contextvars/mapping.js";
import { branchesOf, keysCounting, keysWith, mapOf } from "../support/mappings.ts";

const [a, b, c] = keysCounting(3) as [Key, Key, Key];

/** Up to this many pairs lie flat, and a trie that shrinks to half of it becomes flat again. */
const FLAT_MAX = 8;

describe("insert()", () => {
  it("insert() gives a new map and leaves the old one as it was", () => {
    const one = insert(EMPTY, a, 1);
    const two = insert(one, b, 2);
    assert.deepEqual([EMPTY.size, one.size, two.size], [0, 1, 2]);
    assert.deepEqual([find(one, a), find(one, b)], [1, ABSENT]);
    assert.deepEqual([find(two, a), find(two, b)], [1, 2]);
  });

  it("insert() replaces the value of a key that is there", () => {
    const one = insert(EMPTY, a, 1);
    const two = insert(one, a, 2);
    assert.equal(two.size, 1);
    assert.equal(find(one, a), 1);
    assert.equal(find(two, a), 2);
  });

  for (const size of [1, FLAT_MAX, FLAT_MAX + 1, 40, 1100]) {
    it(`insert() gives the same map when the very same value is there already, with ${size} pairs`, () => {
      const keys = keysCounting(size);
      const values = keys.map(() => ({}));
      let map = EMPTY;
      keys.forEach((key, i) => {
        map = insert(map, key, values[i]);
      });
      keys.forEach((key, i) => {
        assert.equal(insert(map, key, values[i]), map);
        assert.notEqual(insert(map, key, { ...values[i] }), map, "an equal value is another value");
      });
    });
  }

  it("insert() tells 0 from -0 and NaN from nothing", () => {
    for (const size of [1, FLAT_MAX + 4]) {
      const keys = keysCounting(size);
      const key = keys[0] as Key;
      const map = mapOf(keys, 0);
      assert.notEqual(insert(map, key, -0), map);
      const withNaN = insert(map, key, Number.NaN);
      assert.equal(insert(withNaN, key, Number.NaN), withNaN);
    }
  });

  it("insert() of another value copies values only: both maps have the same keys", () => {
    for (const size of [1, 5, 30]) {
      const keys = keysCounting(size);
      const map = mapOf(keys, 1);
      assert.equal(insert(map, keys[0] as Key, 2).slots[0], map.slots[0]);
    }
  });

  it("insert() changes from flat to a trie after eight pairs", () => {
    const keys = keysCounting(FLAT_MAX + 1);
    assert.equal(mapOf(keys.slice(0, FLAT_MAX), 1).bitmap, 0);
    assert.notEqual(mapOf(keys, 1).bitmap, 0);
  });

  it("insert() stores undefined, null and maps as values like any other", () => {
    for (const size of [2, FLAT_MAX + 2]) {
      const keys = keysCounting(size);
      const base = mapOf(keys, 1);
      for (const value of [undefined, null, base, EMPTY]) {
        const map = insert(base, keys[1] as Key, value);
        assert.equal(find(map, keys[1] as Key), value);
        assert.equal(map.size, size);
        assert.deepEqual(new Set(entries(map).map(([key]) => key)), new Set(keys));
      }
    }
  });
});

describe("remove()", () => {
  it("remove() gives EMPTY when the last pair goes", () => {
    assert.equal(remove(insert(EMPTY, a, 1), a), EMPTY);
    assert.equal(remove(EMPTY, a), EMPTY);
  });

  for (const size of [0, 3, FLAT_MAX, FLAT_MAX + 1, 100]) {
    it(`remove() gives the same map when the key is not there, with ${size} pairs`, () => {
      const keys = keysCounting(size + 3);
      const map = mapOf(keys.slice(0, size), 1);
      for (const missing of [...keys.slice(size), { _hash: 0 }, { _hash: 0xffff_ffff }]) {
        assert.equal(remove(map, missing), map);
      }
    });
  }

  it("remove() goes back to flat at half the size at which a trie began", () => {
    const keys = keysCounting(FLAT_MAX + 1);
    let map = mapOf(keys, 1);
    for (let size = FLAT_MAX; size >= 0; size--) {
      map = remove(map, keys[size] as Key);
      assert.equal(map.size, size);
      assert.equal(map.bitmap === 0, size <= FLAT_MAX / 2, `at size ${size}`);
      assert.deepEqual(new Set(entries(map).map(([key]) => key)), new Set(keys.slice(0, size)));
    }
  });

  it("remove() pulls up the one pair that is left in a branch, through all levels", () => {
    // Two keys that differ in the highest bits only: seven levels deep, with a branch of one place on each.
    const deep = [{ _hash: 0 }, { _hash: 0x4000_0000 }] as const;
    const others = keysWith(Array.from({ length: 10 }, (_, i) => i + 1));
    const map = mapOf([...deep, ...others], 1);
    assert.equal(depth(map), 7);
    const smaller = remove(map, deep[1]);
    assert.equal(depth(smaller), 1);
    assert.equal(find(smaller, deep[0]), 1);
    assert.equal(find(smaller, deep[1]), ABSENT);
  });
});

describe("find()", () => {
  it("find() gives ABSENT for a key that only shares a hash with one that is there", () => {
    for (const size of [1, FLAT_MAX + 1]) {
      const keys = keysCounting(size);
      const map = mapOf(keys, 1);
      assert.equal(find(map, { _hash: (keys[0] as Key)._hash }), ABSENT);
    }
  });

  it("find() finds keys at the ends of the range of hashes", () => {
    const keys = keysWith([0, 1, 31, 32, 1023, 1024, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fffe, 0xc000_0000]);
    const map = mapOf(keys, "here");
    for (const key of keys) {
      assert.equal(find(map, key), "here");
      assert.equal(find(remove(map, key), key), ABSENT);
    }
    assert.equal(entries(map).length, keys.length);
  });
});

describe("entries()", () => {
  it("entries() gives each pair once, for every size around the border", () => {
    for (let size = 0; size <= 70; size++) {
      const keys = keysCounting(size);
      const pairs = entries(mapOf(keys, "value"));
      assert.equal(pairs.length, size);
      assert.deepEqual(new Set(pairs.map(([key]) => key)), new Set(keys));
      assert.ok(pairs.every(([, value]) => value === "value"));
    }
  });

  it("entries() gives fresh arrays", () => {
    const map = insert(insert(EMPTY, a, 1), b, 2);
    const [pair] = entries(map);
    assert.ok(pair);
    pair[1] = 100;
    entries(map).pop();
    assert.deepEqual([find(map, a), find(map, b), find(map, c), map.size], [1, 2, ABSENT, 2]);
  });
});

/** How many nodes lie one below the other. */
function depth(map: Mapping): number {
  return 1 + Math.max(0, ...branchesOf(map).map(depth));
}
