/**
 * Everything that can be said about the code besides what the tests say, quickest first; stops at the first complaint.
 *
 *     npm run check
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build, CACHE, commandOf, fail, fetchPackages, npm, readJson, run, runTool, say } from "./support.mjs";

/** Compilers that users of the package have, besides the one it is made with. */
const OLD_COMPILERS = { "typescript-5.4": "typescript@5.4.5", "typescript-5.9": "typescript@5.9.3" };
const COMPILERS_FOLDER = join(CACHE, "compilers");
/** Programs as users write them: without Node's types, and with them. */
const CONSUMERS = ["test/types/consumer", "test/types/consumer/node.json"];
const PACK_FOLDER = join(CACHE, "pack");

/** @type {[name: string, check: () => number][]} Each gives an exit status. */
const STEPS = [
  ["format, lint, layers", checkStyle],
  ["promises", () => runTool("oxlint", ["--type-aware", "--deny-warnings", "--format=unix"])],
  ["types of the scripts", () => runTool("typescript", ["-p", "scripts"], "tsc")],
  ["types of the benchmarks", () => runTool("typescript", ["-p", "bench"], "tsc")],
  ["type tests", () => runTool("typescript", ["-p", "test/types"], "tsc")],
  ["consumers, old compilers too", checkConsumers],
  ["package", checkPackage],
  ["coverage", () => run(process.execPath, ["scripts/test.mjs", "--coverage", "--test-reporter=dot"])],
];

build();
for (const [name, check] of STEPS) {
  say(`\n${name}`);
  const start = performance.now();
  const status = check();
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

function checkConsumers() {
  fetchPackages(COMPILERS_FOLDER, OLD_COMPILERS);
  const old = Object.keys(OLD_COMPILERS).map((name) => join(COMPILERS_FOLDER, "node_modules", name));
  for (const compiler of [...old, "node_modules/typescript"]) {
    for (const project of CONSUMERS) {
      say(`typescript ${readJson(join(compiler, "package.json")).version}: ${project}`);
      const status = run(process.execPath, [commandOf(compiler, "tsc"), "-p", project]);
      if (status !== 0) {
        return status;
      }
    }
  }
  return 0;
}

function checkPackage() {
  rmSync(PACK_FOLDER, { recursive: true, force: true });
  mkdirSync(PACK_FOLDER, { recursive: true });
  const { name, version } = readJson("package.json");
  const tarball = join(PACK_FOLDER, `${name}-${version}.tgz`);
  return (
    // The prepack script would build anew, under the feet of whatever uses dist at the moment.
    npm(["pack", "--ignore-scripts", "--silent", "--pack-destination", PACK_FOLDER]) ||
    runTool("publint", ["run", "--strict", tarball]) ||
    runTool("@arethetypeswrong/cli", ["--profile", "esm-only", tarball], "attw")
  );
}
