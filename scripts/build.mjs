/**
 * Compiles what is out of date: src to dist, the tests and the examples to build.
 *
 *     node scripts/build.mjs [--clean] [--only-dist]
 *
 * --clean      remove the old output first, and compile everything
 * --only-dist  leave out the tests and the examples: what a package needs
 */
import { parseArgs } from "node:util";
import { build, say } from "./support.mjs";

const { values } = parseArgs({
  options: { clean: { type: "boolean", default: false }, "only-dist": { type: "boolean", default: false } },
});
build({ clean: values.clean, tests: !values["only-dist"] });
say("everything is up to date");
