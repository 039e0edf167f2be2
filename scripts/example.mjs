/**
 * Builds, and runs an example.
 *
 *     npm run example                      lists them
 *     npm run example -- NAME [ARGUMENTS]  runs one
 */
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { build, filesIn, runExample, say } from "./support.mjs";

const [name, ...args] = process.argv.slice(2);
if (name === undefined) {
  say("npm run example -- NAME [ARGUMENTS], where NAME is one of");
  for (const file of filesIn("examples").filter((path) => path.endsWith(".ts"))) {
    say(`  ${relative("examples", file).slice(0, -".ts".length).padEnd(28)} ${headline(file)}`);
  }
} else {
  build();
  await runExample(name, args);
}

/**
 * The first line of text in the comment a file begins with.
 *
 * @param {string} file
 */
function headline(file) {
  const [, comment = ""] = /^(?:#!.*\n)?\s*\/\*\*?([\s\S]*?)\*\//.exec(readFileSync(file, "utf8")) ?? [];
  const lines = comment.split("\n").map((line) => line.replace(/^\s*\*?\s*/, "").trim());
  return lines.find((line) => line !== "") ?? "";
}
