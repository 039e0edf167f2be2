/**
 * Everything that can be said about the code besides what the tests say, quickest first; stops at the first complaint.
 *
 *     npm run check
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { checkConsumers } from "./consumers.mjs";
import { build, CACHE, fail, npm, readJson, run, runTool, say } from "./support.mjs";

const PACK_FOLDER = join(CACHE, "pack");
const { name: packageName, version } = readJson("package.json");
const TARBALL = join(PACK_FOLDER, `${packageName}-${version}.tgz`);

/** @type {[name: string, check: () => number | Promise<number>][]} Each gives an exit status. */
const STEPS = [
  ["format, lint, layers", checkStyle],
  ["promises", () => runTool("oxlint", ["--type-aware", "--deny-warnings", "--format=unix"])],
  ["types of the scripts", () => runTool("typescript", ["-p", "scripts"], "tsc")],
  ["types of the benchmarks", () => runTool("typescript", ["-p", "bench"], "tsc")],
  ["type tests", () => runTool("typescript", ["-p", "test/types"], "tsc")],
  ["package", checkPackage],
  ["consumers, old compilers too", () => checkConsumers(TARBALL)],
  ["coverage", () => run(process.execPath, ["scripts/test.mjs", "--coverage", "--test-reporter=dot"])],
];

build();
for (const [name, check] of STEPS) {
  say(`\n${name}`);
  const start = performance.now();
  const status = await check();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (status !== 0) {
    fail(`${name}: failed after ${seconds} s`);
  }
  say(`${name}: passed in ${seconds} s`);
}

function checkStyle() {
  // Biome takes CI for a terminal, and would fill its log with the codes of colours.
  const colors = process.stdout.isTTY ? [] : ["--colors=off"];
  return runTool("@biomejs/biome", ["ci", "--error-on-warnings", "--reporter=concise", ...colors, "."], "biome");
}

function checkPackage() {
  rmSync(PACK_FOLDER, { recursive: true, force: true });
  mkdirSync(PACK_FOLDER, { recursive: true });
  return (
    // The prepack script would build anew, under the feet of whatever uses dist at the moment.
    npm(["pack", "--ignore-scripts", "--silent", "--pack-destination", PACK_FOLDER]) ||
    runTool("publint", ["run", "--strict", TARBALL]) ||
    runTool("@arethetypeswrong/cli", ["--profile", "esm-only", TARBALL], "attw")
  );
}
