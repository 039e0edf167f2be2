/** Small projects with tests, which have the packed package installed: one for each test runner. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { type Ended, runCommand } from "./commands.ts";
import { installPackageIn } from "./installed-package.ts";

const IMPORTS = `
import assert from "node:assert/strict";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { asyncioTest, MockClock, memoryServer, testContext } from "contextvars/testing";
`;

const REQUIRES = `
const assert = require("node:assert/strict");
const { ContextVar } = require("contextvars");
const asyncio = require("contextvars/asyncio");
const { asyncioTest, MockClock, memoryServer, testContext } = require("contextvars/testing");
`;

const PASSING = `
const user = new ContextVar("user", { default: "nobody" });

it("an hour passes at once", asyncioTest(() => asyncio.sleep(3600), { clock: new MockClock() }));

it("a handler talks in memory", asyncioTest(async () => {
  const server = memoryServer(async (reader, writer) => {
    await writer.send(await reader.readline());
    writer.close();
  });
  const [reader, writer] = await server.connect();
  await writer.send("hello\\n");
  assert.equal(String(await reader.read()), "hello\\n");
  writer.close();
  await server.shutdown();
}));

describe("hooks", () => {
  const { setUp, test, tearDown } = testContext();
  beforeEach(setUp(async () => void user.set("ada")));
  it("share the Context of their test", test(() => {
    assert.equal(user.get(), "ada");
    user.set("bob");
  }));
  it("and of no other", test(() => assert.equal(user.get(), "ada")));
  afterEach(tearDown(() => assert.notEqual(user.get(), "nobody")));
});
`;

const FAILING = `
it("fails by itself", asyncioTest(() => assert.equal(1, 2, "one is not two")));

it("leaves a task", asyncioTest(() => {
  asyncio.createTask(() => asyncio.sleep(5), { name: "forgotten" });
}));

it("takes too long", asyncioTest(async function hangs() {
  await new asyncio.Event().wait();
}, { timeout: 0.1 }));

it("passes after those", asyncioTest(() => asyncio.sleep(0)));
`;

/** What has to be said of the failing tests, whatever the runner. */
const COMPLAINTS = [
  /one is not two/,
  /the test left behind: <Task pending name='forgotten' .*sleep\(\) \d\.\d s left.*>; await or cancel tasks/,
  /the test did not end within 0\.1 seconds; its tasks are:\n.*, waits for <Event\.wait\(\)>/,
];

/** How a runner's tests look, and how it is started. */
export interface TestRunner {
  readonly extension: "mjs" | "cjs";
  /** What has `it`, `describe`, `beforeEach` and `afterEach`. */
  readonly header: string;
  /** Files that it needs besides, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** The program and its arguments. */
  readonly command: (file: string) => readonly [program: string, ...args: string[]];
}

/** A folder in which projects find the packed package by its name. */
export class TestProjects implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "contextvars-runners-"));

  /** @param runnersFolder - Whose node_modules have the test runners. */
  async fill(runnersFolder: string | null = null): Promise<void> {
    const modules = join(this.#folder, "node_modules");
    mkdirSync(modules);
    if (runnersFolder !== null) {
      for (const name of readdirSync(join(runnersFolder, "node_modules"))) {
        symlinkSync(join(runnersFolder, "node_modules", name), join(modules, name));
      }
    }
    await installPackageIn(this.#folder);
  }

  /** Runs the tests that must pass, and the tests that must fail, and checks the reports. */
  async check(name: string, runner: TestRunner): Promise<void> {
    const passing = await this.#run(name, "passing", PASSING, runner);
    assert.equal(passing.status, 0, passing.stdout + passing.stderr);
    const failing = await this.#run(name, "failing", FAILING, runner);
    // Some runners colour what they print.
    const output = stripVTControlCharacters(failing.stdout + failing.stderr);
    assert.notEqual(failing.status, 0, output);
    for (const complaint of COMPLAINTS) {
      assert.match(output, complaint);
    }
    assert.match(output, /(?:\b|^)3 fail|fail 3|3 failed/, output);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #run(name: string, kind: string, body: string, runner: TestRunner): Promise<Ended> {
    const folder = join(this.#folder, name.replaceAll(/\W+/g, "-"));
    mkdirSync(folder, { recursive: true });
    const file = `${kind}.test.${runner.extension}`;
    const imports = runner.extension === "cjs" ? REQUIRES : IMPORTS;
    const files = { ...runner.files, [file]: `${runner.header}${imports}${body}` };
    for (const [path, text] of Object.entries(files)) {
      writeFileSync(join(folder, path), text);
    }
    const [program, ...args] = runner.command(file);
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined, NO_COLOR: "1", FORCE_COLOR: undefined };
    return await runCommand(program, args, { cwd: folder, env, timeout: 60 });
  }
}

/** node:test, by `import` or `require`. */
export function nodeTest(node: string, extension: "mjs" | "cjs"): TestRunner {
  const names = "{ it, describe, beforeEach, afterEach }";
  return {
    extension,
    header: extension === "mjs" ? `import ${names} from "node:test";` : `const ${names} = require("node:test");`,
    command: (file) => [node, "--test", "--test-reporter=spec", file],
  };
}
