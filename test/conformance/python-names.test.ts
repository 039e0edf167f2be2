/**
 * The page for those who come from Python lists every public name of CPython's `contextvars` and `asyncio`: what it is here,
 * or what to use instead. To renew it: `npm run build && node build/test/conformance/python-names.test.js --update`.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as contextvars from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { Python } from "../support/cpython.ts";
import { testGenerated } from "../support/generated.ts";
import { packageRoot } from "../support/paths.ts";
import { absent, notes, renamed } from "../support/python-names.ts";

const PAGE = "docs/from-python.md";
const PLACE = /(?<=<!-- names -->\n)[\s\S]*(?=<!-- end of names -->)/;

/** For each module its public names; for each class of them its public members. */
type PythonNames = Record<string, Record<string, string[] | null>>;

const pythonNames = new Python().run(`
def members_of(a_class):
    return sorted(name for name in dir(a_class) if not name.startswith("_") and name not in dir(BaseException))
import contextvars
return {
    module.__name__: {
        name: members_of(getattr(module, name)) if isinstance(getattr(module, name), type) else None
        for name in sorted(module.__all__, key=str.lower) if not name.startswith("_")
    }
    for module in (contextvars, asyncio)
}`) as PythonNames;

const values: Readonly<Record<string, unknown>> = { ...asyncio, ...contextvars };
const types = readFileSync(join(packageRoot, "test/package/exports.txt"), "utf8")
  .split("\n")
  .flatMap((line) => /^\S+ type (\w+)$/.exec(line)?.[1] ?? []);
const used = new Set<string>();

/** snake_case becomes camelCase at the underscores; nothing else changes. */
function byRule(name: string): string {
  return /^[A-Z]/.test(name)
    ? name
    : name.replaceAll(/(?<=[a-z\d])_([a-z\d])/g, (_, letter: string) => letter.toUpperCase());
}

/** The key of a table that stands for a name. */
function keyFor(table: Readonly<Record<string, string>>, name: string): string | undefined {
  const key = Object.keys(table).find((pattern) =>
    new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("*", "\\w+")}$`).test(name),
  );
  if (key !== undefined) {
    used.add(key);
  }
  return key;
}

function row(python: string, here: string | undefined): string {
  const note = keyFor(notes, python);
  const reason = here === undefined ? keyFor(absent, python) : undefined;
  assert.ok(
    here !== undefined || reason !== undefined,
    `${python} is not here, and python-names.ts says nothing of it`,
  );
  const name = here === undefined ? "" : `\`${here}\``;
  return `| \`${python}\` | ${name} | ${absent[reason ?? ""] ?? notes[note ?? ""] ?? ""} |`;
}

function memberOf(className: string, member: string): string | undefined {
  const holder = values[className] as { readonly prototype: object };
  const name = byRule(member);
  const exists = name in holder || name in holder.prototype;
  return renamed[keyFor(renamed, `${className}.${member}`) ?? ""] ?? (exists ? name : undefined);
}

function tables(): string {
  const sections = Object.entries(pythonNames).map(([module, names]) => {
    const rows = Object.entries(names).flatMap(([name, members]) => {
      const renamedTo = keyFor(renamed, name);
      const here = renamed[renamedTo ?? ""] ?? byRule(name);
      const value = values[here];
      if (value === undefined && !types.includes(here)) {
        return [row(name, undefined)];
      }
      const ofMembers = typeof value === "function" && renamedTo === undefined ? (members ?? []) : [];
      return [row(name, here), ...ofMembers.map((member) => row(`${name}.${member}`, memberOf(name, member)))];
    });
    return [`### \`${module}\``, "", "| Python | here | note |", "| --- | --- | --- |", ...rows, ""].join("\n");
  });
  return `\n${sections.join("\n")}\n`;
}

testGenerated("the page says of every name of CPython what it is here", PAGE, PLACE, tables());

test("nothing is said of names that CPython does not have, or that are here after all", () => {
  const said = [absent, renamed, notes].flatMap((table) => Object.keys(table));
  assert.deepEqual(
    said.filter((key) => !used.has(key)),
    [],
  );
});
