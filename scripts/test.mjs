/**
 * Builds, and runs the tests.
 *
 *     npm test                           all of them
 *     npm test -- streams queues         those with "streams" or "queues" in the path
 *     npm test -- --test-name-pattern=X  options of node's test runner pass through
 *     npm run coverage                   the portable ones and that of the command line, with coverage of src and its
 *                                        thresholds (.c8rc.json)
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { obtainRuntime } from "./obtain.mjs";
import { build, commandOf, fail, PORTABLE_TESTS, run, say, TEST_OPTIONS, testFiles } from "./support.mjs";

/**
 * The folders of test/ whose files share a process. Most of these files take less time than the start of a process. A
 * file that asks CPython would load it, which takes two seconds, and a file that uses the packed package would pack it.
 */
const SHARED = [
  "async-context",
  "codecs",
  "conformance",
  "contextvars",
  "opentelemetry",
  "package",
  "properties",
  "testing",
];
/** Node sorts what it runs by path: these come before `build/test`, so the longest do not run alone at the end. */
const SHARED_PROGRAMS = "build/test-groups";

const args = process.argv.slice(2);
const isCoverage = args.includes("--coverage");
const options = args.filter((arg) => arg.startsWith("--") && arg !== "--coverage");
const filters = args.filter((arg) => !arg.startsWith("--"));

build();
const files = isCoverage
  ? [...testFiles({ takes: (folder) => PORTABLE_TESTS.includes(folder) }), "build/test/programs/cli.test.js"]
  : testFiles({ filters });
if (files.length === 0) {
  // Without files node would look for tests by itself, in node_modules too.
  fail(`there is no test file${filters.length > 0 ? ` with ${filters.join(" or ")} in its path` : ""}`);
}
if (files.some((file) => file.includes("package/bundles"))) {
  process.env.BUN = obtainRuntime("bun");
}
say(`running ${files.length} test files${isCoverage ? " with coverage" : ""}`);
const reporter = options.some((option) => option.startsWith("--test-reporter")) ? [] : ["--test-reporter=spec"];
const coverage = isCoverage ? [commandOf("node_modules/c8"), process.execPath] : [];
process.exitCode = run(process.execPath, [...coverage, ...TEST_OPTIONS, ...reporter, ...options, ...programsOf(files)]);

/**
 * What node runs, each in a process of its own: test files, and for each shared folder a program that imports its files.
 *
 * @param {string[]} files
 * @returns {string[]}
 */
function programsOf(files) {
  rmSync(SHARED_PROGRAMS, { recursive: true, force: true });
  mkdirSync(SHARED_PROGRAMS);
  const groups = SHARED.map((folder) => ({
    program: `${SHARED_PROGRAMS}/${folder}.js`,
    members: files.filter((file) => file.startsWith(`build/test/${folder}/`)),
  })).filter(({ members }) => members.length > 1);
  for (const { program, members } of groups) {
    writeFileSync(program, members.map((file) => `import "../../${file}";\n`).join(""));
  }
  const shared = new Set(groups.flatMap(({ members }) => members));
  return [...groups.map(({ program }) => program), ...files.filter((file) => !shared.has(file))];
}
