/**
 * Every way a connection ends, over every transport: what each wait comes to, as in CPython but for what is decided.
 */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { Reports } from "../support/peers.ts";
import {
  type Cell,
  cells,
  differences,
  expected,
  impossible,
  inPython,
  nameOf,
  type Outcome,
  observe,
  transports,
} from "../support/wire-matrix.ts";

/** So many at a time: each waits most of its time. */
const AT_ONCE = 15;

for (const transport of transports) {
  describe(`How a connection over ${transport} ends`, () => {
    const ours = cells.filter((cell) => cell.transport === transport);
    const seen = new Map<Cell, Outcome>();
    let reports: readonly string[] = [];

    before(async () => {
      using reporting = new Reports();
      const possible = ours.filter((cell) => impossible(cell) === false);
      for (let start = 0; start < possible.length; start += AT_ONCE) {
        const batch = possible.slice(start, start + AT_ONCE);
        await Promise.all(batch.map(async (cell) => seen.set(cell, await observe(cell))));
      }
      reports = reporting.messages;
    });

    for (const cell of ours) {
      const { event, state, role } = cell;
      const numbers = differences.filter(({ applies }) => applies(cell)).map(({ why }) => why);
      const note = numbers.length === 0 ? "" : ` (differs: ${numbers.join(", ")})`;
      it(`${event} by the peer of a ${role} whose reader is ${state}${note}`, { skip: impossible(cell) }, () => {
        assert.deepEqual(seen.get(cell), expected(cell));
      });
    }

    it("no end of a connection causes an unhandled rejection", () => {
      assert.deepEqual(reports, []);
    });
  });
}

describe("The table of ends", () => {
  it("has every cell, and none besides", () => {
    assert.deepEqual(Object.keys(inPython.cells).sort(), cells.map(nameOf).sort());
  });

  it("every difference is one: where it applies, Python does otherwise somewhere", () => {
    for (const { why, applies, instead } of differences) {
      const differing = cells.filter(applies).filter((cell) => {
        const python = inPython.cells[nameOf(cell)] as Outcome;
        return Object.entries(instead).some(([key, value]) => python[key as keyof Outcome] !== value);
      });
      assert.ok(differing.length > 0, String(why));
    }
  });
});
