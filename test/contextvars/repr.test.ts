import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextVar } from "contextvars";
import { addressOf, repr } from "#dist/repr.js";

describe("repr()", () => {
  const rows: readonly (readonly [unknown, string])[] = [
    [1, "1"],
    [-1.5, "-1.5"],
    [0, "0"],
    [-0, "-0"],
    [Number.NaN, "NaN"],
    [Number.NEGATIVE_INFINITY, "-Infinity"],
    [10n, "10n"],
    [true, "true"],
    [undefined, "undefined"],
    [null, "null"],
    [Symbol("s"), "Symbol(s)"],
    [() => {}, "<function <anonymous>>"],
    [repr, "<function repr>"],
    [class Named {}, "<function Named>"],
    ["", "''"],
    ["ada", "'ada'"],
    ["it's", `"it's"`],
    [`say "hi"`, `'say "hi"'`],
    [`it's "both"`, `'it\\'s "both"'`],
    ["back\\slash", "'back\\\\slash'"],
    ["tab\tline\nreturn\r", "'tab\\tline\\nreturn\\r'"],
    ["bell\x07 backspace\b del\x7f nul\0", "'bell\\x07 backspace\\x08 del\\x7f nul\\x00'"],
    ["no-break\xa0 zero-width\u200b line\u2028", "'no-break\\xa0 zero-width\\u200b line\\u2028'"],
    ["žluťoučký 日本語 🐍", "'žluťoučký 日本語 🐍'"],
    ["half \ud800 private \u{f0000}", "'half \\ud800 private \\U000f0000'"],
    [[], "[]"],
    [[1, "a", [undefined]], "[1, 'a', [undefined]]"],
    [{}, "{}"],
    [{ a: 1, "b-c": { d: null } }, "{'a': 1, 'b-c': {'d': null}}"],
    [Object.assign(Object.create(null), { a: 1 }), "{'a': 1}"],
    [new TypeError("it broke"), "TypeError('it broke')"],
    [Buffer.from("ab\n\x00\xff'\\", "latin1"), `b"ab\\n\\x00\\xff'\\\\"`],
    [new Uint8Array([39, 34]), `b'\\'"'`],
    [new Uint8Array(), "b''"],
    [new URL("http://host/"), "http://host/"],
    [new Date(Number.NaN), "Invalid Date"],
    [/a+/g, "/a+/g"],
  ];
  rows.forEach(([value, expected], i) => {
    it(`repr() gives ${expected} (row ${i + 1})`, () => {
      assert.equal(repr(value), expected);
    });
  });

  it("repr() gives class and address for an object that has no text of its own", () => {
    class Connection {}
    const connection = new Connection();
    assert.equal(repr(connection), `<Connection object at ${addressOf(connection)}>`);
    assert.match(repr(new (class {})()), /^<object object at 0x/);
    assert.match(repr(Object.create(Object.create(null))), /^<object object at 0x/);
  });

  it("repr() uses toString() of classes that have one", () => {
    class Point {
      toString(): string {
        return "(1, 2)";
      }
    }
    assert.equal(repr([new Point()]), "[(1, 2)]");
  });

  it("repr() gives ... for a container inside itself, and only there", () => {
    const list: unknown[] = [1];
    list.push(list);
    assert.equal(repr(list), "[1, [...]]");
    const object: Record<string, unknown> = {};
    object["list"] = [object];
    assert.equal(repr(object), "{'list': [{...}]}");
    const twice = [2];
    assert.equal(repr([twice, twice]), "[[2], [2]]");
  });

  it("repr() can print a container again after an error came out of it", () => {
    class Hostile {
      toString(): string {
        throw new Error("no text");
      }
    }
    const list: unknown[] = [new Hostile()];
    assert.throws(() => repr(list), /no text/);
    list[0] = 1;
    assert.equal(repr(list), "[1]");
  });

  it("repr() prints a variable inside a container with its own text", () => {
    const variable = new ContextVar("v");
    assert.equal(repr({ variable }), `{'variable': ${variable}}`);
  });
});

describe("addressOf()", () => {
  it("addressOf() gives an object the same address each time, and no two the same", () => {
    const objects = Array.from({ length: 100 }, () => ({}));
    const first = objects.map(addressOf);
    assert.deepEqual(objects.map(addressOf), first);
    assert.equal(new Set(first).size, 100);
    assert.ok(first.every((address) => /^0x7f[0-9a-f]{10}$/.test(address)));
  });
});
