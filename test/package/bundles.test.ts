/** The package inside of bundles: each of the usual bundlers makes a program of it, and the program runs. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import * as esbuild from "esbuild";
import { rollup } from "rollup";
import * as vite from "vite";
import webpack from "webpack";
import { runCommand, runNode } from "../support/commands.ts";
import { packageRoot } from "../support/paths.ts";

const workFolder = mkdtempSync(join(tmpdir(), "contextvars-bundles-"));
const program = join(workFolder, "program.mjs");
/** scripts/test.mjs fetches it. */
const bun = process.env["BUN"] ?? "bun";

// A variable, a connection, and debug mode, whose stacks need to know which code is whose.
const PROGRAM = `
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";

const greeting = new ContextVar("greeting");

async function userFunction() {
  const trace = new asyncio.Future();
  asyncio.getRunningLoop().setExceptionHandler((_loop, { sourceTraceback }) => trace.setResult(sourceTraceback));
  asyncio.getRunningLoop().callSoon(() => {
    throw new Error("on purpose");
  });
  return await trace;
}

// A busy machine is no reason for a warning.
asyncio.getRunningLoop().slowCallbackDuration = 3600;
void asyncio.run(async () => {
  greeting.set("hello");
  const server = await asyncio.startServer((reader, writer) => {
    writer.write(greeting.get() + "\\n");
    writer.close();
  }, "127.0.0.1", 0);
  const [reader, writer] = await asyncio.openConnection("127.0.0.1", server.sockets[0].getsockname().port);
  process.stdout.write((await reader.readline()).toString());
  writer.close();
  server.close();
  const named = [new asyncio.Future(), new asyncio.Lock(), new asyncio.PriorityQueue(), asyncio.currentTask()];
  process.stdout.write(named.map((each) => /\\w+(?= object| at| pending)/.exec(String(each))[0]).join() + "\\n");
  process.stdout.write(await userFunction());
}, { debug: true });
`;

interface Bundler {
  readonly name: string;
  /** Writes the bundle of the program to the file. */
  readonly bundle: (file: string) => Promise<void>;
  /** The end of the file's name. */
  readonly ending: "mjs" | "cjs";
  /** Why it cannot run here. */
  readonly missing?: string | false;
}

interface Variant {
  readonly isMinified?: boolean;
  readonly hasSourceMap?: boolean;
}

const bundlers: readonly (Bundler & Variant)[] = [
  { name: "esbuild to ESM", ending: "mjs", bundle: (file) => bundleByEsbuild(file, { format: "esm" }) },
  { name: "esbuild to CommonJS", ending: "cjs", bundle: (file) => bundleByEsbuild(file, { format: "cjs" }) },
  {
    name: "esbuild with minify",
    ending: "cjs",
    isMinified: true,
    bundle: (file) => bundleByEsbuild(file, { format: "cjs", minify: true }),
  },
  {
    name: "esbuild with source maps",
    ending: "mjs",
    hasSourceMap: true,
    bundle: (file) => bundleByEsbuild(file, { format: "esm", sourcemap: true }),
  },
  { name: "rollup to ESM", ending: "mjs", bundle: (file) => bundleByRollup(file, "es") },
  { name: "rollup to CommonJS", ending: "cjs", bundle: (file) => bundleByRollup(file, "cjs") },
  { name: "webpack", ending: "cjs", bundle: (file) => bundleByWebpack(file, false) },
  {
    name: "webpack with source maps",
    ending: "cjs",
    hasSourceMap: true,
    bundle: (file) => bundleByWebpack(file, "source-map"),
  },
  { name: "Vite for SSR", ending: "mjs", bundle: bundleByVite },
  { name: "bun build to ESM", ending: "mjs", bundle: (file) => bundleByBun(file, "esm"), missing: await missingBun() },
  {
    name: "bun build to CommonJS",
    ending: "cjs",
    bundle: (file) => bundleByBun(file, "cjs"),
    missing: await missingBun(),
  },
];

describe("bundles", () => {
  before(async () => {
    const installed = join(workFolder, "node_modules/contextvars");
    for (const part of ["dist", "src", "package.json"]) {
      cpSync(join(packageRoot, part), join(installed, part), { recursive: true });
    }
    const { status, stderr } = await runNode([join(packageRoot, "scripts/pack.mjs"), installed]);
    assert.equal(status, 0, stderr);
    writeFileSync(program, PROGRAM);
  });

  after(() => {
    rmSync(workFolder, { recursive: true, force: true });
  });

  for (const { name, ending, bundle, isMinified = false, hasSourceMap = false, missing = false } of bundlers) {
    test(`a bundle by ${name} runs, and debug mode tells where in the program`, { skip: missing }, async () => {
      // Deeper than the program: a bundle must not look for files beside it.
      const file = join(workFolder, "out", name.replaceAll(" ", "-"), `bundle.${ending}`);
      mkdirSync(dirname(file), { recursive: true });
      await bundle(file);
      const { status, stdout, stderr } = await runNode([...(hasSourceMap ? ["--enable-source-maps"] : []), file], {
        timeout: 20,
      });
      assert.equal(stderr, "");
      assert.equal(status, 0);
      const [greeting, names, ...frames] = stdout.split("\n");
      assert.equal(greeting, "hello");
      assert.equal(names, "Future,Lock,PriorityQueue,Task");
      if (hasSourceMap) {
        assert.match(frames[0] ?? "", /userFunction.*program\.mjs/, stdout);
      } else if (!isMinified) {
        assert.match(stdout, /userFunction/);
      }
    });
  }

  test("a bundle without the loop runs, and getLoop() says what to import", async () => {
    const outfile = join(workFolder, "no-loop.mjs");
    const contents = `
    import { createTask, sleep } from "contextvars/asyncio";
    const task = createTask(() => sleep(0, "slept"));
    console.log(await task);
    try { task.getLoop(); } catch (error) { console.log(error.name, error.message); }
  `;
    await bundleByEsbuild(outfile, { entryPoints: [], stdin: { contents, resolveDir: workFolder }, format: "esm" });
    const { stdout, stderr } = await runNode([outfile]);
    assert.equal(stderr, "");
    assert.equal(
      stdout,
      "slept\nRuntimeError this bundle has no event loop: import getRunningLoop from contextvars/asyncio, and call it\n",
    );
  });

  test("a minified bundle finds only the program's functions in the stack of a task that waits", async () => {
    const outfile = join(workFolder, "minified.mjs");
    const contents = `
    import { createTask, sleep } from "contextvars/asyncio";
    async function nap() {
      await sleep(60);
    }
    const task = createTask(async function sleeper() {
      await nap();
    });
    await sleep(0);
    console.log((await task.getStack()).length);
    task.cancel();
  `;
    const stdin = { contents, resolveDir: workFolder };
    await bundleByEsbuild(outfile, { entryPoints: [], stdin, format: "esm", minify: true });
    const { stdout, stderr } = await runNode([outfile]);
    assert.equal(stderr, "");
    assert.equal(stdout, "2\n");
  });

  test("a bundle of sleep() and createTask() has what they can show, and nothing of variables and sockets", async () => {
    const outfile = join(workFolder, "two-functions.mjs");
    const contents = `
    import { createTask, sleep } from "contextvars/asyncio";
    async function nap() {
      await sleep(60);
    }
    const task = createTask(nap, { name: "napping" });
    await sleep(0);
    console.log(String(task));
    console.log((await task.getStack())[0].functionName);
    console.log([...task.getContext()].length, task.getContext().get({ _hash: 0, reset() {} }, "unset"));
    task.cancel("enough");
    await task.catch((error) => console.log(error.name, error.message));
    createTask(function fails() {
      throw Object.assign(new Error("on purpose"), { code: "E_ON_PURPOSE" });
    }, { name: "failing" });
  `;
    await bundleByEsbuild(outfile, { entryPoints: [], stdin: { contents, resolveDir: workFolder }, format: "esm" });
    const { stdout, stderr } = await runNode([outfile], { env: { ASYNCIO_DEBUG: "1", NODE_DEBUG: "asyncio" } });
    assert.equal(
      stdout,
      "<Task pending name='napping' coro=<nap()> wait_for=<sleep() 60.0 s left>>\nnap\n0 unset\nCancelledError enough\n",
    );
    assert.match(stderr, /task:created task=.*napping/);
    assert.match(
      stderr,
      /Task exception was never retrieved\nfuture: <Task finished name='failing' .*\nsourceTraceback: /,
    );
    assert.match(stderr, /E_ON_PURPOSE/);
    assert.doesNotMatch(
      readFileSync(outfile, "utf8"),
      /class (?:ContextVar|Token|OSError|QueueEmpty)\b|connection:made/,
    );
  });
});

async function bundleByEsbuild(outfile: string, options: esbuild.BuildOptions): Promise<void> {
  await esbuild.build({
    entryPoints: [program],
    bundle: true,
    platform: "node",
    outfile,
    logLevel: "silent",
    ...options,
  });
}

async function bundleByRollup(file: string, format: "es" | "cjs"): Promise<void> {
  const { resolve } = createRequire(program);
  const bundle = await rollup({
    input: program,
    plugins: [{ name: "resolve", resolveId: (id) => (id.startsWith("contextvars") ? resolve(id) : null) }],
    external: /^node:/,
  });
  await bundle.write({ file, format });
  await bundle.close();
}

async function bundleByWebpack(file: string, devtool: "source-map" | false): Promise<void> {
  const compiler = webpack({
    context: workFolder,
    mode: "production",
    target: "node",
    entry: program,
    output: { path: dirname(file), filename: "bundle.cjs" },
    optimization: { minimize: false },
    devtool,
  });
  const stats = await promisify(compiler.run.bind(compiler))();
  assert.equal(stats?.hasErrors(), false, stats?.toString({ all: false, errors: true }));
}

async function bundleByVite(file: string): Promise<void> {
  await vite.build({
    root: workFolder,
    configFile: false,
    logLevel: "silent",
    ssr: { noExternal: true },
    build: { ssr: program, outDir: dirname(file), rollupOptions: { output: { entryFileNames: "bundle.mjs" } } },
  });
}

async function bundleByBun(file: string, format: "esm" | "cjs"): Promise<void> {
  const { status, stderr } = await runCommand(bun, [
    "build",
    program,
    "--target=node",
    `--format=${format}`,
    "--outfile",
    file,
  ]);
  assert.equal(status, 0, stderr);
}

async function missingBun(): Promise<string | false> {
  return await runCommand(bun, ["--version"]).then(
    () => false,
    () => "Bun is not there",
  );
}
