/** The persistent map against a JavaScript Map, and CPython's HamtTest as far as keys are variables. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ABSENT, EMPTY, entries, find, insert, type Key, type Mapping, remove } from "#dist/contextvars/mapping.js";
import { checkStructure, keysCounting, keysWith, mapOf, nodesOf } from "../support/mappings.ts";
import { randomFrom } from "../support/random.ts";

const SEED = 20261121;

/** Shapes of hashes, by what they do to a trie. */
const hashesOf: Readonly<Record<string, (count: number) => number[]>> = {
  counting: (count) => Array.from({ length: count }, (_, i) => 7000 + i),
  "in steps of 32": (count) => Array.from({ length: count }, (_, i) => i * 32),
  "in steps of 1024": (count) => Array.from({ length: count }, (_, i) => i * 1024),
  "in the highest bits": (count) => Array.from({ length: count }, (_, i) => ((i & 127) << 25) + (i >>> 7)),
  "at random": (count) => {
    const random = randomFrom(count);
    const distinct = new Set<number>();
    while (distinct.size < count) {
      distinct.add(random(2 ** 32));
    }
    return [...distinct];
  },
};

/** Asserts that the map holds what the model holds, and is built as it promises. */
function assertSame(map: Mapping, model: ReadonlyMap<Key, unknown>, keys: readonly Key[]): void {
  checkStructure(map);
  assert.equal(map.size, model.size);
  for (const key of keys) {
    const expected = model.has(key) ? model.get(key) : ABSENT;
    if (!Object.is(find(map, key), expected)) {
      assert.fail(`hash ${key._hash}: ${String(find(map, key))} instead of ${String(expected)}`);
    }
  }
  const pairs = entries<Key>(map);
  assert.equal(pairs.length, model.size);
  assert.ok(pairs.every(([key, value]) => model.has(key) && Object.is(model.get(key), value)));
}

interface Step {
  readonly remove: boolean;
  readonly key: number;
  readonly value: number;
}

const steps = fc.array(fc.record<Step>({ remove: fc.boolean(), key: fc.nat({ max: 39 }), value: fc.nat({ max: 2 }) }), {
  minLength: 1,
  maxLength: 120,
  size: "max",
});

describe("Mapping against a Map", () => {
  for (const [shape, hashes] of Object.entries(hashesOf)) {
    it(`Mapping holds what a Map holds, and old versions never change, with hashes ${shape}`, () => {
      const keys = keysWith(hashes(40));
      fc.assert(
        fc.property(steps, (program) => {
          let map = EMPTY;
          const model = new Map<Key, unknown>();
          const versions: [Mapping, ReadonlyMap<Key, unknown>][] = [[map, new Map()]];
          for (const step of program) {
            const key = keys[step.key] as Key;
            const before = map;
            if (step.remove) {
              map = remove(map, key);
              assert.equal(map === before, !model.delete(key), "the same map if and only if the key is not there");
            } else {
              map = insert(map, key, step.value);
              assert.equal(map === before, model.get(key) === step.value, "the same map for the same value only");
              model.set(key, step.value);
            }
            versions.push([map, new Map(model)]);
          }
          for (const [version, snapshot] of versions) {
            assertSame(version, snapshot, keys);
          }
        }),
        { seed: SEED, numRuns: 60 },
      );
    });

    it(`Mapping grows to 10,000 pairs and shrinks to none, with hashes ${shape}`, () => {
      const keys = keysWith(hashes(10_000));
      const random = randomFrom(SEED);
      let map = EMPTY;
      keys.forEach((key, i) => {
        map = insert(map, key, i);
        assert.equal(map.size, i + 1);
      });
      const full = map;
      checkStructure(full);
      const order = shuffled(keys, random);
      order.forEach((key, i) => {
        map = remove(map, key);
        assert.equal(map.size, keys.length - i - 1);
        if (i % 1999 === 0) {
          assertSame(map, new Map(order.slice(i + 1).map((left) => [left, keys.indexOf(left)])), keys);
        }
      });
      assert.equal(map, EMPTY);
      assertSame(full, new Map(keys.map((key, i) => [key, i])), keys);
    });

    it(`Mapping makes at most one new node a level for a change, with hashes ${shape}`, () => {
      const all = keysWith(hashes(5000));
      const random = randomFrom(SEED);
      for (const size of [1, 8, 9, 33, 200, 1024, 4900]) {
        const keys = all.slice(0, size);
        const map = mapOf(keys, 0);
        const nodes = nodesOf(map);
        // Seven levels use up all 32 bits; counting hashes need no more than log32 of the size, and one to branch.
        const most = shape === "counting" ? Math.ceil(Math.log(size + 1) / Math.log(32)) + 2 : 8;
        for (let i = 0; i < 10; i++) {
          const inside = keys[random(size)] as Key;
          const outside = all[size + random(all.length - size)] as Key;
          for (const changed of [insert(map, inside, 1), insert(map, outside, 1), remove(map, inside)]) {
            const made = [...nodesOf(changed)].filter((node) => !nodes.has(node)).length;
            assert.ok(made <= most, `${made} new nodes for one of ${size} pairs`);
          }
        }
      }
    });
  }

  it("Mapping is the same whatever the order in which keys come and go", () => {
    const keys = keysWith((hashesOf["at random"] as (count: number) => number[])(60));
    fc.assert(
      fc.property(fc.shuffledSubarray(keys), fc.shuffledSubarray(keys), (added, removed) => {
        const left = added.filter((key) => !removed.includes(key));
        const map = removed.reduce<Mapping>((now, key) => remove(now, key), mapOf(added, "value"));
        assertSame(map, new Map(left.map((key) => [key, "value"])), keys);
      }),
      { seed: SEED, numRuns: 100 },
    );
  });
});

/** The cases of CPython's HamtTest; those about errors in `__hash__` and `__eq__` have no meaning for variables. */
describe("HamtTest", () => {
  const [a, b, c, d, e] = keysCounting(5) as [Key, Key, Key, Key, Key];

  it("test_hamt_basics_2: each insert() gives a new map, and old ones keep size and content", () => {
    const versions = [EMPTY];
    for (const [key, value] of [
      [a, "a"],
      [b, "b"],
      [c, "c"],
      [b, "b2"],
    ] as const) {
      versions.push(insert(versions.at(-1) as Mapping, key, value));
    }
    assert.equal(new Set(versions).size, 5);
    assert.deepEqual(
      versions.map((map) => map.size),
      [0, 1, 2, 3, 3],
    );
    assert.deepEqual(
      versions.map((map) => find(map, b)),
      [ABSENT, ABSENT, "b", "b", "b2"],
    );
    assert.equal(find(versions[4] as Mapping, d), ABSENT);
  });

  it("test_hamt_basics_3: storing the identical object gives the same map", () => {
    const value = {};
    const map = insert(EMPTY, a, value);
    assert.equal(insert(map, a, value), map);
  });

  it("test_hamt_basics_4: storing an equal object that is another one gives a new map", () => {
    const map = insert(EMPTY, a, [1]);
    const other = insert(map, a, [1]);
    assert.notEqual(other, map);
    assert.deepEqual(find(other, a), find(map, a));
  });

  it("test_hamt_collision_1: keys whose hashes differ in the last place only lie side by side", () => {
    const alike = keysWith([0, 0x4000_0000, 0x8000_0000, 0xc000_0000]);
    const filled = mapOf([...alike, ...keysCounting(8)], 1);
    alike.forEach((key, i) => {
      const replaced = insert(filled, key, i + 10);
      assert.equal(replaced.size, filled.size);
      assert.equal(find(replaced, key), i + 10);
      assert.equal(find(filled, key), 1);
    });
  });

  it("test_hamt_collision_3: iteration reaches the deepest trie there can be", () => {
    const deep = keysWith([0, 0x4000_0000, ...Array.from({ length: 6 }, (_, level) => 1 << (5 * (level + 1) - 1))]);
    const keys = [...new Set([...deep, ...keysCounting(10, 1_000_000)])];
    assert.deepEqual(new Set(entries(mapOf(keys, 1)).map(([key]) => key)), new Set(keys));
  });

  it("test_hamt_stress: 7,000 keys come and go at random, with a snapshot half-way", () => {
    for (let round = 0; round < 3; round++) {
      const random = randomFrom(round);
      const keys = keysWith((hashesOf["at random"] as (count: number) => number[])(7000 - round));
      const model = new Map<Key, unknown>();
      let map = EMPTY;
      let snapshot: [Mapping, Map<Key, unknown>] | undefined;
      for (const key of keys) {
        map = insert(map, key, key._hash);
        model.set(key, key._hash);
        if (random(10) === 0) {
          map = insert(map, key, "replaced");
          model.set(key, "replaced");
        }
      }
      assertSame(map, model, keys);
      const order = shuffled(keys, random);
      order.forEach((key, i) => {
        map = remove(map, key);
        model.delete(key);
        assert.equal(find(map, key), ABSENT);
        if (i === 3500) {
          snapshot = [map, new Map(model)];
        }
      });
      assert.equal(map, EMPTY);
      assert.ok(snapshot);
      assertSame(...snapshot, keys);
    }
  });

  it("test_hamt_delete_1: one pair after the other goes from one node, and missing keys change nothing", () => {
    let map = mapOf([a, b, c, d, e], "value");
    assert.equal(remove(map, { _hash: a._hash }), map);
    for (const [i, key] of [c, a, e, b, d].entries()) {
      map = remove(map, key);
      assert.equal(map.size, 4 - i);
      assert.equal(find(map, key), ABSENT);
      assert.equal(remove(map, key), map);
    }
    assert.equal(map, EMPTY);
  });

  it("test_hamt_delete_2: pairs go from nested nodes until none is left", () => {
    const nested = keysWith([100, 100 + 32, 100 + 1024, 100 + 32 * 1024, 7, 8, 9, 10, 11, 12]);
    let map = mapOf(nested, "value");
    nested.forEach((key, i) => {
      map = remove(map, key);
      checkStructure(map);
      assertSame(map, new Map(nested.slice(i + 1).map((left) => [left, "value"])), nested);
    });
    assert.equal(map, EMPTY);
  });

  it("test_hamt_delete_3: a key that goes leaves the ones in the deepest node", () => {
    const [one, two, three] = keysWith([5, 5 + 0x4000_0000, 5 + 0x8000_0000]) as [Key, Key, Key];
    const others = keysCounting(9, 64);
    const map = remove(remove(mapOf([one, two, three, ...others], 1), others[0] as Key), two);
    assert.deepEqual([find(map, one), find(map, two), find(map, three)], [1, ABSENT, 1]);
    assert.equal(map.size, 10);
  });

  it("test_hamt_delete_4: the deepest node goes when its keys do", () => {
    const deep = keysWith([5, 5 + 0x4000_0000, 5 + 0x8000_0000]);
    const others = keysCounting(9, 64);
    let map = mapOf([...deep, ...others], 1);
    const nodes = nodesOf(map).size;
    for (const key of deep) {
      map = remove(map, key);
      checkStructure(map);
    }
    assertSame(map, new Map(others.map((key) => [key, 1])), [...deep, ...others]);
    assert.ok(nodesOf(map).size < nodes);
  });

  it("test_hamt_delete_5: a full node shrinks, and deleting twice changes nothing", () => {
    const keys = [...keysCounting(32, 0), ...keysWith([17 + 0x4000_0000])];
    let map = mapOf(keys, "value");
    keys.forEach((key, i) => {
      const smaller = remove(map, key);
      assert.equal(smaller.size, keys.length - i - 1);
      assert.equal(remove(smaller, key), smaller);
      map = smaller;
    });
    assert.equal(map, EMPTY);
  });

  it("test_hamt_items_1: entries() gives each pair once", () => {
    const map = insert(insert(insert(EMPTY, a, "a"), b, "b"), c, "c");
    assert.deepEqual(
      new Map(entries(map)),
      new Map([
        [a, "a"],
        [b, "b"],
        [c, "c"],
      ]),
    );
  });

  it("test_hamt_items_2: entries() returns each pair once, even in nested nodes", () => {
    const keys = keysWith([3, 3 + 32, 3 + 64, 3 + 1024, 1, 2, 4, 5, 6, 7, 0x8000_0003]);
    assert.deepEqual(new Map(entries(mapOf(keys, 1))), new Map(keys.map((key) => [key, 1])));
  });

  it("test_hamt_items_3: entries() of the empty map gives nothing", () => {
    assert.deepEqual(entries(EMPTY), []);
    assert.equal(EMPTY.size, 0);
  });

  it("test_hamt_in_1: find() tells a stored undefined from nothing", () => {
    const map = insert(EMPTY, a, undefined);
    assert.equal(find(map, a), undefined);
    assert.equal(find(map, b), ABSENT);
    assert.equal(find(EMPTY, a), ABSENT);
  });
});

function shuffled<T>(items: readonly T[], random: (below: number) => number): T[] {
  const copy = [...items];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [copy[i], copy[j]] = [copy[j] as T, copy[i] as T];
  }
  return copy;
}
