/**
 * What the package exports is a promise: it changes only together with exports.txt.
 *
 * To write the list anew: npm run build && node build/test/package/exports.test.js --update
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { testGenerated } from "../support/generated.ts";
import { entryPoints, packageRoot } from "../support/paths.ts";

const LIST = "test/package/exports.txt";
const WHOLE = /^[\s\S]*$/;

const lists = await Promise.all(entryPoints.map(({ specifier, types }) => exportsOf(specifier, types)));
const exported = `${lists.flat().join("\n")}\n`;

testGenerated("the package exports what test/package/exports.txt says", LIST, WHOLE, exported);

test("no entry point has a default export", () => {
  assert.doesNotMatch(exported, /^\S+ default$/m);
});

/** One line for each name: the values that are there at run time, and the types that only the declarations know. */
async function exportsOf(specifier: string, declarations: string): Promise<string[]> {
  const values = Object.keys((await import(specifier)) as object);
  const types = declaredNames(readFileSync(join(packageRoot, declarations), "utf8")).filter(
    (name) => !values.includes(name),
  );
  return [
    ...values.sort().map((name) => `${specifier} ${name}`),
    ...types.sort().map((name) => `${specifier} type ${name}`),
  ];
}

/** The names of the export lists of an entry point, which has nothing else to declare. */
function declaredNames(declarations: string): string[] {
  const code = declarations.replace(/\/\*[\s\S]*?\*\//g, "");
  assert.doesNotMatch(code, /export (?!type \{|\{)/, "an entry point only lists what it exports, name by name");
  return [...code.matchAll(/\{([^}]*)\}/g)]
    .flatMap(([, list = ""]) => list.split(","))
    .map((item) =>
      item
        .trim()
        .replace(/^type /, "")
        .replace(/^.* as /, ""),
    )
    .filter((name) => name !== "");
}
