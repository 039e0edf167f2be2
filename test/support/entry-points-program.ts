/** A program that uses every entry point of the installed package, in the ways in which programs are started. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "./commands.ts";
import { External } from "./external.ts";
import { installPackageIn } from "./installed-package.ts";
import { entryPoints } from "./paths.ts";
import { eventually } from "./peers.ts";

/** What uses the package; types that can be erased stand where `TYPED` is true. */
const useAll = (isTyped: boolean): string => `
const user = propagated(new ContextVar${isTyped ? "<string>" : ""}("user"), { key: "user" });

async function useAll() {
  const context = new ContextVarsContextManager().active();
  const stage = new AsyncContext.Variable${isTyped ? "<string>" : ""}({ defaultValue: "none" });
  const server = memoryServer(async (reader, writer) => {
    const peer = framed(reader, writer, linesCodec());
    user.set("ada");
    for await (const line of peer) {
      await peer.send(\`\${line} \${stage.run("inner", () => stage.get())} \${inject().baggage}\`);
    }
  });
  const [reader, writer] = await server.connect();
  const client = framed(reader, writer, linesCodec());
  await client.send("hello");
  assert.equal(await asyncio.timeout(20).with(() => client.receive()), "hello inner user=ada");
  writer.close();
  await server.shutdown();
  assert.equal(stage.get(), "none");
  assert.equal(typeof context.getValue, "function");
}
`;

const IMPORTS = `
import assert from "node:assert/strict";
import { ContextVar } from "contextvars";
import { AsyncContext } from "contextvars/async-context";
import * as asyncio from "contextvars/asyncio";
import { framed, linesCodec } from "contextvars/codecs";
import { ContextVarsContextManager } from "contextvars/opentelemetry";
import { inject, propagated } from "contextvars/propagate";
import { memoryServer } from "contextvars/testing";
`;

/** Serves until a signal ends it, and says what it does: with the words of a module that can be changed. */
const WATCHED = `${IMPORTS}
import { word } from "./word.mjs";
${useAll(false)}
await asyncio.run(async () => {
  await useAll();
  const server = await asyncio.startServer(() => {}, "127.0.0.1", 0);
  const main = asyncio.currentTask();
  asyncio.getRunningLoop().addSignalHandler("SIGTERM", () => main.cancel());
  console.log("serves", word, process.pid);
  try {
    await server.serveForever();
  } catch (error) {
    assert.ok(asyncio.isCancelled(error));
  } finally {
    console.log("ended", word);
  }
});
`;

for (const { specifier } of entryPoints) {
  assert.ok(IMPORTS.includes(`"${specifier}"`), `the program does not use ${specifier}`);
}

/** A folder in which programs find the installed package by its name. */
export class ProgramFolder implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "contextvars-programs-"));

  async fill(): Promise<void> {
    mkdirSync(join(this.#folder, "node_modules"));
    writeFileSync(join(this.#folder, "package.json"), JSON.stringify({ private: true, type: "commonjs" }));
    await installPackageIn(this.#folder);
  }

  /** Puts another package beside it. */
  link(name: string, path: string): void {
    symlinkSync(path, join(this.#folder, "node_modules", name));
  }

  /** Runs the program in TypeScript to its end: an ES module, or by the extension `ts` a CommonJS one. */
  async checkTypeScript(node: string, options: readonly string[], extension: "mts" | "ts"): Promise<void> {
    const main = 'asyncio.run(useAll).then(() => console.log("ok"));\n';
    writeFileSync(join(this.#folder, `main.${extension}`), IMPORTS + useAll(true) + main);
    const { status, stdout, stderr } = await runCommand(node, [...options, `main.${extension}`], {
      cwd: this.#folder,
      timeout: 60,
    });
    assert.equal(stdout, "ok\n", stderr);
    assert.equal(status, 0, stderr);
  }

  /** Runs a server under `--watch`: a change ends it as it would end itself, and nothing stays behind. */
  async checkWatch(node: string): Promise<void> {
    const say = (word: string): void => {
      writeFileSync(join(this.#folder, "word.mjs"), `export const word = "${word}";\n`);
    };
    writeFileSync(join(this.#folder, "watched.mjs"), WATCHED);
    say("first");
    await using watcher = new External(node, ["--watch", "watched.mjs"], { cwd: this.#folder });
    const [, first] = await watcher.printed(/serves first (\d+)/);
    say("second");
    const [, second] = await watcher.printed(/ended first[\s\S]*serves second (\d+)/);
    assert.ok(await eventually(() => !isRunning(Number(first))), "the first run is still there");
    watcher.kill("SIGTERM");
    await watcher.printed(/ended second/);
    await watcher.ended();
    assert.ok(await eventually(() => !isRunning(Number(second))), "the second run is still there");
    assert.doesNotMatch(watcher.stdout, /Failed running/);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
