/** The page of programs shows every file of `examples`, from the file itself. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../support/paths.ts";

test("the cookbook shows every example once", () => {
  const page = readFileSync(join(packageRoot, "docs/cookbook.md"), "utf8");
  const shown = [...page.matchAll(/^<<< \.\.\/examples\/(.+)$/gm)].map(([, file]) => file ?? "");
  const examples = readdirSync(join(packageRoot, "examples"), { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => /\.(?:ts|mjs)$/.test(file));
  assert.deepEqual(new Set(shown), new Set(examples));
  assert.equal(shown.length, examples.length);
});
