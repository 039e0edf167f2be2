/**
 * Builds, and runs the tests.
 *
 *     npm test                           all of them
 *     npm test -- streams queues         those with "streams" or "queues" in the path
 *     npm test -- --test-name-pattern=X  options of node's test runner pass through
 *     npm run coverage                   the portable ones and that of the command line, with coverage of src and its
 *                                        thresholds (.c8rc.json)
 */
import { obtainRuntime } from "./obtain.mjs";
import { build, commandOf, fail, PORTABLE_TESTS, programsOf, run, say, TEST_OPTIONS, testFiles } from "./support.mjs";

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
process.exitCode = run(process.execPath, [
  ...coverage,
  ...TEST_OPTIONS,
  ...reporter,
  ...options,
  ...programsOf(files, "build/test-groups"),
]);
