/**
 * Builds, runs the tests on every runtime the package promises to work on, and prints a table. Each runtime also imports and
 * requires every entry point of the package as npm installs it.
 *
 *     npm run test:runtimes
 *     npm run test:runtimes -- --only node24,bun
 *     npm run test:runtimes -- --only "node24 --no-async-context-frame"
 *     npm run test:runtimes -- --after-npm-test
 *
 * With `--after-npm-test`, the Node that runs this script only imports and requires the installed package: it has just
 * run the same tests.
 *
 * Node has two ways to keep variables, and a flag chooses the one that is not the default: with it, the tests of
 * contextvars run once more.
 *
 * The runtimes come from npm packages for Linux on x64. Elsewhere, those on the PATH are used.
 */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { checkInstalled, installPackage } from "./installed.mjs";
import { CAN_FETCH, obtainRuntime, RUNTIMES_FOLDER, versionOf } from "./obtain.mjs";
import { build, fail, mapAtSameTime, PORTABLE_TESTS, programsOf, say, TEST_OPTIONS, testFiles } from "./support.mjs";

/** These take the package apart, or ask the compiler, Python or other programs: npm test has done it. */
const ONCE_ONLY_TESTS = ["conformance", "docs", "interop", "package", "programs", "types"];
const TIME_LIMIT = 15 * 60 * 1000; // milliseconds, for all tests on one runtime, which may share the machine with another
/** What a runner prints about a test that passed, or about what it is going to do. */
const UNREMARKABLE = /^\s*(?:✔|▶|\(pass\)|$)|\.\.\.(?: ok.*)?$/;
const LINES_SHOWN = 200; // of the rest, where a runtime failed

/**
 * @typedef {object} Runner What is needed to run test files, and to read what came of it.
 * @property {string[]} options
 * @property {string[]} runs The options with which it runs a single program.
 * @property {(folder: string) => boolean} takes Whether the tests in this folder of test/ run there.
 * @property {(files: string[], folder: string) => string[]} arranges What it gets to run these files; programs that it needs
 *   for that go into the folder.
 * @property {boolean} usesOneCore Whether it runs one file after the other, so that another runtime may run beside it.
 * @property {Record<"passed" | "failed" | "skipped", RegExp>} counts Match closing lines; their numbers add up.
 */

/** @type {Runner} */
const NODE = {
  options: [...TEST_OPTIONS, "--test-reporter=spec"],
  runs: [],
  takes: (folder) => !ONCE_ONLY_TESTS.includes(folder),
  arranges: programsOf,
  usesOneCore: false,
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
  arranges: (files) => files,
  usesOneCore: true,
  counts: { passed: /^ *(\d+) pass$/gm, failed: /^ *(\d+) (?:fail|errors?)$/gm, skipped: /^ *(\d+) (?:skip|todo)$/gm },
};

/** @type {Runner} Its own type check would read the declarations in dist, which name .ts files that are not there. */
const DENO = {
  options: ["test", "--allow-all", "--no-check", "--no-lock"],
  runs: ["run", "--allow-all", "--no-check", "--no-lock"],
  takes: (folder) => PORTABLE_TESTS.includes(folder),
  arranges: (files) => files,
  usesOneCore: true,
  counts: {
    passed: /^(?:ok|FAILED) \| (\d+) passed(?: \((\d+) steps?\))?/gm,
    failed: /^(?:ok|FAILED) \| .*?(\d+) failed(?: \((\d+) steps?\))?/gm,
    skipped: /^(?:ok|FAILED) \| .*?(\d+) ignored/gm,
  },
};

/** @type {Runner} */
const NODE_WITH_FLAG = { ...NODE, takes: (folder) => folder === "contextvars", usesOneCore: true };

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
/**
 * @typedef {Counts & { runtime: string, version: string, seconds: string }} Row `seconds` of a row without tests names the
 *   command that has run them.
 */

build();
installPackage();
const { values: options } = parseArgs({
  options: { only: { type: "string" }, "after-npm-test": { type: "boolean", default: false } },
});
const rows = await testOnAll(selectedRuntimes());
printTable(rows);
/** @param {keyof Counts} key */
const total = (key) => rows.reduce((sum, row) => sum + row[key], 0);
say(`\n${total("passed")} passed, ${total("failed")} failed, ${total("skipped")} skipped`);
process.exitCode = rows.length > 0 && total("failed") === 0 ? 0 : 1;

function selectedRuntimes() {
  const { only } = options;
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
 * Runs the tests on the runtimes; those that use one core run beside each other.
 *
 * @param {Runtime[]} runtimes
 * @returns {Promise<Row[]>}
 */
async function testOnAll(runtimes) {
  /** @type {Row[][]} */
  const results = [];
  for (const runtime of runtimes.filter(({ runner }) => !runner.usesOneCore)) {
    results.push(await testOn(runtime));
  }
  results.push(
    ...(await mapAtSameTime(
      runtimes.filter(({ runner }) => runner.usesOneCore),
      testOn,
    )),
  );
  return results.flat();
}

/**
 * Runs the tests on a runtime.
 *
 * @param {Runtime} runtime
 * @returns {Promise<Row[]>} One row, or none if the runtime cannot be had on this machine.
 */
async function testOn({ name, runner }) {
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
  if (options["after-npm-test"] && program === process.execPath && flag === undefined) {
    return [{ runtime: name, version, passed: 0, failed: 0, skipped: 0, seconds: "npm test" }];
  }
  const files = testFiles({ takes: runner.takes });
  const programs = runner.arranges(files, `build/runtime-groups/${name.replace(" ", "")}`).map((file) => `./${file}`);
  say(`${name} ${version}: running ${files.length} test files`);
  const start = performance.now();
  const { ending, output } = await outputOf(program, [...runner.options, ...programs], flag);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const counts = countsIn(output, runner);
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
 * Runs a program to its end, or to the limit of time.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {string | undefined} flag For Node; the programs that tests start get it as well.
 * @returns {Promise<{ ending: string, output: string }>} The ending says how it failed, and is empty if it ended well,
 *   whatever it has printed.
 */
async function outputOf(program, args, flag) {
  const child = spawn(program, args, {
    env: { ...process.env, NODE_OPTIONS: flag ?? process.env.NODE_OPTIONS, NO_COLOR: "1", FORCE_COLOR: undefined },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: TIME_LIMIT,
    killSignal: "SIGKILL",
  });
  // fail() ends this process while another runtime may be running.
  process.once("exit", () => child.kill("SIGKILL"));
  /** @type {Promise<string>} */
  const ended = new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (status, signal) => resolve(status === 0 ? "" : `ended with ${signal ?? `status ${status}`}`));
  });
  const [ending, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { ending, output: `${stdout}\n${stderr}` };
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
