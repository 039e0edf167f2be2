/**
 * The tables of `docs/callbacks.md` say what `test/support/primitives-table.ts` says, which the tests hold against each
 * runtime. To renew it: `npm run build && node build/test/docs/primitives-table.test.js --update`.
 */
import assert from "node:assert/strict";
import { testGenerated } from "../support/generated.ts";
import { cellFor, type Primitive, primitives } from "../support/primitives-table.ts";
import type { Runtime } from "../support/runtime.ts";

const PAGE = "docs/callbacks.md";
const COLUMNS: Readonly<Record<string, readonly Runtime[]>> = {
  "Node 20": ["node20"],
  "Node 22, 24, 26": ["node22", "node24", "node26"],
  Bun: ["bun"],
  Deno: ["deno"],
};
const PLACE = /(?<=\| - \| none: variables have only their defaults \|\n\n)(?:\|.*\n)+/;
const PLACE_OF_LEAKS = /(?<=## What the next call sees\n[^|]*)(?:\|.*\n)+/;

function tableRows(): string[] {
  const rows = [`| | callback | ${Object.keys(COLUMNS).join(" | ")} |`, `| --- | --- |${" --- |".repeat(4)}`];
  let lastGroup = "";
  for (const { group, primitive, sees } of Object.values<Primitive>(primitives)) {
    const cells = Object.values(COLUMNS).map((runtimes) => {
      const [cell, ...others] = new Set(runtimes.map((runtime) => cellFor(sees, runtime)));
      assert.equal(others.length, 0, `${primitive}: a column for several runtimes needs them to agree`);
      return cell ?? "-";
    });
    // What differs between the runtimes has to catch the eye.
    const shown = new Set(cells).size > 1 ? (text: string) => `**${text}**` : (text: string) => text;
    rows.push(`| ${group === lastGroup ? "" : group} | ${shown(primitive)} | ${cells.map(shown).join(" | ")} |`);
    lastGroup = group;
  }
  return rows;
}

function leakRows(): string[] {
  const rows = ["| callback | runtimes | seen by |", "| --- | --- | --- |"];
  for (const { primitive, leaks = {} } of Object.values<Primitive>(primitives)) {
    for (const who of new Set(Object.values(leaks))) {
      const isLeak = (each: Runtime): boolean => leaks[each] === who;
      const columns = Object.entries(COLUMNS).filter(([, runtimes]) => runtimes.some(isLeak));
      assert.ok(
        columns.every(([, runtimes]) => runtimes.every(isLeak)),
        `${primitive}: a column for several runtimes needs them to agree`,
      );
      const where = columns.length === Object.keys(COLUMNS).length ? "all" : columns.map(([name]) => name).join(", ");
      rows.push(`| ${primitive} | ${where} | ${who} |`);
    }
  }
  return rows;
}

testGenerated("the page shows which Context each callback sees", PAGE, PLACE, `${tableRows().join("\n")}\n`);
testGenerated(
  "the page shows which code sees what a callback sets outside tasks",
  PAGE,
  PLACE_OF_LEAKS,
  `${leakRows().join("\n")}\n`,
);
