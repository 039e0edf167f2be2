/**
 * Builds, runs the tests on every runtime the package promises to work on, and prints a table. Each runtime also imports and
 * requires every entry point of the package as npm installs it.
 *
 *     npm run test:runtimes
 *     npm run test:runtimes -- --only node24,bun
 *     npm run test:runtimes -- --only "node24 --no-async-context-frame"
 *
 * Node has two ways to keep variables, and a flag chooses the one that is not the default: with it, the tests of
 * contextvars run once more.
 *
 * The runtimes come from npm packages for Linux on x64. Elsewhere, those on the PATH are used.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { checkInstalled, installPackage } from "./installed.mjs";
import { CAN_FETCH, obtainRuntime, RUNTIMES_FOLDER, versionOf } from "./obtain.mjs";
import { build, fail, PORTABLE_TESTS, say, TEST_OPTIONS, testFiles } from "./support.mjs";

/** These take the package apart, or ask the compiler, Python or other programs: npm test has done it. */
const ONCE_ONLY_TESTS = ["conformance", "docs", "interop", "package", "programs", "types"];
const TIME_LIMIT = 10 * 60 * 1000; // milliseconds, for all tests on one runtime
/** What a runner prints about a test that passed, or about what it is going to do. */
const UNREMARKABLE = /^\s*(?:✔|▶|\(pass\)|$)|\.\.\.(?: ok.*)?$/;
const LINES_SHOWN = 200; // of the rest, where a runtime failed

/**
 * @typedef {object} Runner What is needed to run test files, and to read what came of it.
 * @property {string[]} options
 * @property {string[]} runs The options with which it runs a single program.
 * @property {(folder: string) => boolean} takes Whether the tests in this folder of test/ run there.
 * @property {Record<"passed" | "failed" | "skipped", RegExp>} counts Match closing lines; their numbers add up.
 */

/** @type {Runner} */
const NODE = {
  options: [...TEST_OPTIONS, "--test-reporter=spec"],
  runs: [],
  takes: (folder) => !ONCE_ONLY_TESTS.includes(folder),
  counts: {
    passed: /^\S+ pass (\d+)$/gm,
    failed: /^\S+ (?:fail|cancelled) (\d+)$/gm,
    skipped: /^\S+ (?:skipped|todo) (\d+)$/gm,
  },
};

/** @type {Runner} */
const BUN = {
  options: ["test", "--timeout=180000"],
  runs: [],
  takes: (folder) => PORTABLE_TESTS.includes(folder),
  counts: { passed: /^ *(\d+) pass$/gm, failed: /^ *(\d+) (?:fail|errors?)$/gm, skipped: /^ *(\d+) (?:skip|todo)$/gm },
};

/** @type {Runner} Its own type check would read the declarations in dist, which name .ts files that are not there. */
const DENO = {
  options: ["test", "--allow-all", "--no-check", "--no-lock"],
  runs: ["run", "--allow-all", "--no-check", "--no-lock"],
  takes: (folder) => PORTABLE_TESTS.includes(folder),
  counts: {
    passed: /^(?:ok|FAILED) \| (\d+) passed(?: \((\d+) steps?\))?/gm,
    failed: /^(?:ok|FAILED) \| .*?(\d+) failed(?: \((\d+) steps?\))?/gm,
    skipped: /^(?:ok|FAILED) \| .*?(\d+) ignored/gm,
  },
};

/** @type {Runner} */
const NODE_WITH_FLAG = { ...NODE, takes: (folder) => folder === "contextvars" };

/** @typedef {{ name: string, runner: Runner }} Runtime The name may end with a flag for Node, behind a space. */

/** @type {Runtime[]} */
const RUNTIMES = [
  ...["node20", "node22", "node24", "node26"].map((name) => ({ name, runner: NODE })),
  { name: "bun", runner: BUN },
  { name: "deno", runner: DENO },
  { name: "node22 --experimental-async-context-frame", runner: NODE_WITH_FLAG },
  { name: "node24 --no-async-context-frame", runner: NODE_WITH_FLAG },
  { name: "node26 --no-async-context-frame", runner: NODE_WITH_FLAG },
];

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */
/** @typedef {Counts & { runtime: string, version: string, seconds: string }} Row */

build();
installPackage();
const rows = selectedRuntimes().flatMap(testOn);
printTable(rows);
/** @param {keyof Counts} key */
const total = (key) => rows.reduce((sum, row) => sum + row[key], 0);
const isGreen = rows.length > 0 && rows.every(({ passed, failed }) => passed > 0 && failed === 0);
say(`\n${total("passed")} passed, ${total("failed")} failed, ${total("skipped")} skipped`);
process.exitCode = isGreen ? 0 : 1;

function selectedRuntimes() {
  const { only } = parseArgs({ options: { only: { type: "string" } } }).values;
  if (only === undefined) {
    return RUNTIMES;
  }
  const names = only.split(",");
  const unknown = names.filter((name) => !RUNTIMES.some((runtime) => runtime.name === name));
  if (unknown.length > 0) {
    fail(`no such runtime: ${unknown.join(", ")}; there are ${RUNTIMES.map(({ name }) => name).join(", ")}`);
  }
  return RUNTIMES.filter(({ name }) => names.includes(name));
}

/**
 * Runs the tests on a runtime.
 *
 * @param {Runtime} runtime
 * @returns {Row[]} One row, or none if the runtime cannot be had on this machine.
 */
function testOn({ name, runner }) {
  const [base = name, flag] = name.split(" ");
  const program = obtainRuntime(base);
  const version = program && versionOf(program);
  if (!program || !version) {
    if (CAN_FETCH) {
      fail(`${name}: ${program} does not start on this machine`);
    }
    say(`${name}: left out; it cannot be fetched for ${process.platform} ${process.arch} and is not on the PATH`);
    return [];
  }
  const complaint = checkInstalled(program, runner.runs);
  if (complaint !== "") {
    fail(`${name}: ${complaint}`);
  }
  const files = testFiles({ takes: runner.takes }).map((file) => `./${file}`);
  say(`${name} ${version}: running ${files.length} test files`);
  const start = performance.now();
  const { status, signal, stdout, stderr, error } = spawnSync(program, [...runner.options, ...files], {
    encoding: "utf8",
    // So the programs that tests start get the flag as well.
    env: { ...process.env, NODE_OPTIONS: flag ?? process.env.NODE_OPTIONS, NO_COLOR: "1", FORCE_COLOR: undefined },
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 2 ** 30,
    timeout: TIME_LIMIT,
    killSignal: "SIGKILL",
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const output = `${stdout}\n${stderr}`;
  const counts = countsIn(output, runner);
  // What the runner says is one thing; that it came to an end is another.
  const ending = error?.message ?? (status === 0 ? "" : `ended with ${signal ?? `status ${status}`}`);
  if (counts.passed === 0 || counts.failed > 0 || ending) {
    const log = join(RUNTIMES_FOLDER, `${name}.log`);
    mkdirSync(RUNTIMES_FOLDER, { recursive: true });
    writeFileSync(log, output);
    const remarkable = output.split("\n").filter((line) => !UNREMARKABLE.test(line));
    say(remarkable.slice(-LINES_SHOWN).join("\n"));
    say(`${name}: ${ending || "failed"}; all of its output is in ${log}`);
    counts.failed ||= 1;
  }
  return [{ runtime: name, version, ...counts, seconds }];
}

/**
 * @param {string} output
 * @param {Runner} runner
 * @returns {Counts}
 */
function countsIn(output, { counts }) {
  /** @param {RegExp} pattern */
  const add = (pattern) =>
    [...output.matchAll(pattern)]
      .flatMap(([, ...numbers]) => numbers)
      .reduce((sum, text) => sum + Number(text ?? 0), 0);
  return { passed: add(counts.passed), failed: add(counts.failed), skipped: add(counts.skipped) };
}

/** @param {Row[]} results */
function printTable(results) {
  /** @param {(string | number)[]} cells */
  const line = ([runtime, version, ...numbers]) =>
    say(
      `${String(runtime).padEnd(44)}${String(version).padEnd(12)}${numbers.map((cell) => String(cell).padStart(9)).join("")}`,
    );
  say("");
  line(["runtime", "version", "passed", "failed", "skipped", "seconds"]);
  for (const { runtime, version, passed, failed, skipped, seconds } of results) {
    line([runtime, version, passed, failed, skipped, seconds]);
  }
}
