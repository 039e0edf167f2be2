/**
 * contextvars/testing, packed and installed, in a small project of each test runner, on each runtime that it runs on.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runtimes } from "../../support/frameworks.ts";
import { packageRoot } from "../../support/paths.ts";
import { nodeTest, TestProjects, type TestRunner } from "../../support/test-runners.ts";

const FOLDER = join(packageRoot, ".cache/test-runners");
const missing = existsSync(join(FOLDER, "installed.json")) ? false : "npm run test:peers installs the test runners";
const FUNCTIONS = "{ it, describe, beforeEach, afterEach }";

/** The test runners that run on Node. */
const ofNode: Record<string, (node: string, version: number) => TestRunner | null> = {
  "node:test, import": (node) => nodeTest(node, "mjs"),
  "node:test, require": (node) => nodeTest(node, "cjs"),
  "Jest, import": (node) => jest(node, "mjs"),
  // Before, Jest cannot require() an ES module.
  "Jest, require": (node, version) => (version >= 24 ? jest(node, "cjs") : null),
  Vitest: (node, version) =>
    version >= 22
      ? {
          extension: "mjs",
          header: `import ${FUNCTIONS} from "vitest";`,
          command: (file) => [node, join(FOLDER, "node_modules/vitest/vitest.mjs"), "run", "--dir", ".", file],
        }
      : null,
};

function jest(node: string, extension: "mjs" | "cjs"): TestRunner {
  const config = { testMatch: ["**/*.test.*js"], testEnvironment: "node", transform: {} };
  return {
    extension,
    header: "",
    files: { "jest.config.json": JSON.stringify(config) },
    command: (file) => [
      node,
      "--experimental-vm-modules",
      join(FOLDER, "node_modules/jest/bin/jest.js"),
      "--config=jest.config.json",
      "--rootDir=.",
      file,
    ],
  };
}

const bunTest = (bun: string): TestRunner => ({
  extension: "mjs",
  header: `import ${FUNCTIONS} from "bun:test";`,
  command: (file) => [bun, "test", `./${file}`],
});

const denoTest = (deno: string): TestRunner => ({
  extension: "mjs",
  header: `
const it = (name, f) => Deno.test(name, () => f());
const describe = (_, f) => f();
const { beforeEach, afterEach } = Deno.test;
`,
  command: (file) => [deno, "test", "-A", "--no-check", "--no-lock", "--node-modules-dir=manual", file],
});

describe("contextvars/testing under every test runner", { skip: missing }, () => {
  const projects = new TestProjects();
  before(() => projects.fill(FOLDER));
  after(() => projects[Symbol.dispose]());

  for (const { name, path } of runtimes) {
    const version = Number(/^node(\d+)/.exec(name)?.[1] ?? process.versions.node.split(".")[0]);
    const runners: Record<string, TestRunner | null> =
      name === "bun"
        ? { "bun test": bunTest(path) }
        : name === "deno"
          ? { "deno test": denoTest(path) }
          : Object.fromEntries(Object.entries(ofNode).map(([title, make]) => [title, make(path, version)]));
    for (const [title, runner] of Object.entries(runners)) {
      if (runner !== null) {
        it(`asyncioTest(): tests pass and fail with the right text, ${title}, ${name}`, () =>
          projects.check(`${name}-${title}`, runner));
      }
    }
  }
});
