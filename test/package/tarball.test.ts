/** The package as npm delivers it: packed, installed into an empty project, and used from there. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { before, describe, test } from "node:test";
import { runCommand, runNode } from "../support/commands.ts";
import { installPackage } from "../support/installed-package.ts";
import { entryPoints, packageRoot } from "../support/paths.ts";

let consumer: string;
let installed: string;

describe("the tarball", () => {
  before(async () => {
    consumer = await installPackage();
    installed = join(consumer, "node_modules/contextvars");
  });

  test("the tarball holds the code, its sources and its documents, and nothing else", () => {
    const expected = [
      "LICENSE",
      "README.md",
      "dist",
      "package.json",
      "src",
      "ARCHITECTURE.md",
      "CHANGELOG.md",
      "DIFFERENCES.md",
    ];
    const unexpected = readdirSync(installed).filter((name) => !expected.includes(name));
    assert.deepEqual(unexpected, []);
    assert.ok(existsSync(join(installed, "LICENSE")));
  });

  test("installing the tarball brings no other package", () => {
    const packages = readdirSync(join(consumer, "node_modules")).filter((name) => !name.startsWith("."));
    assert.deepEqual(packages, ["contextvars"]);
  });

  test("every map in the tarball points to a source in the tarball", () => {
    const maps = readdirSync(join(installed, "dist"), { recursive: true, encoding: "utf8" }).filter((file) =>
      file.endsWith(".map"),
    );
    assert.ok(maps.length > 0);
    for (const file of maps) {
      const path = join(installed, "dist", file);
      const { sources } = JSON.parse(readFileSync(path, "utf8")) as { sources: string[] };
      for (const source of sources) {
        assert.ok(existsSync(resolve(dirname(path), source)), `${file} points to ${source}`);
      }
    }
  });

  test("npm would publish the manifest as it stands", async () => {
    const args = ["publish", "--dry-run", "--ignore-scripts", "--offline"];
    const { status, stderr } = await runCommand("npm", args, { cwd: packageRoot });
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /auto-corrected/);
  });

  test("npx contextvars runs what was installed", async () => {
    const { stdout } = await runNode([join(consumer, "node_modules/.bin/contextvars"), "doctor"], { cwd: consumer });
    assert.match(stdout, /^ok {2}runtime/);
    assert.match(stdout, new RegExp(`\nok {2}in this folder +contextvars .* in ${installed}\n`));
  });

  test("import gives both entry points", async () => {
    const output = await runFile(
      "main.mjs",
      `
    import { ContextVar, copyContext } from "contextvars";
    import * as asyncio from "contextvars/asyncio";
    const user = new ContextVar("user", { default: "nobody" });
    console.log(copyContext().run(() => (user.set("ada"), user.get())), user.get(), typeof asyncio.run);
    `,
    );
    assert.equal(output, "ada nobody function\n");
  });

  test("an import loads a few files", async () => {
    const files = readdirSync(join(installed, "dist/packed")).filter((file) => file.endsWith(".js"));
    const imports = new Map(
      files.map((file) => [
        file,
        [...readFileSync(join(installed, "dist/packed", file), "utf8").matchAll(/ from '\.\/(.+)';$/gm)].map(
          ([, name]) => name,
        ),
      ]),
    );
    const loaded = new Set(["asyncio.js"]);
    for (const file of loaded) {
      for (const name of imports.get(file) ?? []) {
        loaded.add(name ?? "");
      }
    }
    assert.ok(loaded.size <= 4, [...loaded].join());
  });

  test("what is packed is what the modules are, under the same names", async () => {
    // The optional peer of one is not installed.
    for (const { specifier } of entryPoints.filter((entry) => !entry.specifier.endsWith("opentelemetry"))) {
      const name = specifier.split("/").at(-1);
      const output = await runFile(
        "names.mjs",
        `
        import * as packed from "${specifier}";
        import * as modules from "./node_modules/contextvars/dist/${name}/index.js";
        const named = (from) => Object.entries(from).map(([key, value]) => [key, typeof value, value.name]);
        console.log(packed !== modules, JSON.stringify(named(packed)) === JSON.stringify(named(modules)));
        `,
      );
      assert.equal(output, "true true\n", specifier);
    }
  });

  test("debug mode tells the program's frames from those of what is packed", async () => {
    const output = await runFile(
      "debug.mjs",
      `
      import * as asyncio from "contextvars/asyncio";
      asyncio.getRunningLoop().slowCallbackDuration = 3600;
      await asyncio.run(async function userFunction() {
        const trace = new asyncio.Future();
        asyncio.getRunningLoop().setExceptionHandler((_loop, { sourceTraceback }) => trace.setResult(sourceTraceback));
        asyncio.getRunningLoop().callSoon(() => {
          throw new Error("on purpose");
        });
        console.log(await trace);
      }, { debug: true });
      `,
    );
    assert.match(output, /^ *at .*userFunction.*debug\.mjs/);
    assert.doesNotMatch(output, /packed/);
  });

  test("require gives both entry points, without a flag or a warning", async () => {
    const output = await runFile(
      "main.cjs",
      `
    const { ContextVar, copyContext } = require("contextvars");
    const asyncio = require("contextvars/asyncio");
    const user = new ContextVar("user", { default: "nobody" });
    console.log(copyContext().run(() => (user.set("ada"), user.get())), user.get(), typeof asyncio.run);
    `,
    );
    assert.equal(output, "ada nobody function\n");
  });

  test("import and require give the same classes", async () => {
    const output = await runFile(
      "both.cjs",
      `
    const required = require("contextvars");
    import("contextvars").then((imported) => console.log(imported.ContextVar === required.ContextVar));
    `,
    );
    assert.equal(output, "true\n");
  });

  test("the manifest can be imported, and no other file can", async () => {
    const output = await runFile(
      "inside.cjs",
      `
    console.log(require("contextvars/package.json").name);
    try {
      require("contextvars/dist/errors.js");
    } catch (error) {
      console.log(error.code);
    }
    `,
    );
    assert.equal(output, "contextvars\nERR_PACKAGE_PATH_NOT_EXPORTED\n");
  });

  test("without Node's types contextvars/asyncio does not compile, and the compiler says what is missing", async () => {
    write("types.ts", 'export { StreamReader } from "contextvars/asyncio";');
    const compiler = join(packageRoot, "node_modules/typescript/bin/tsc");
    const { status, stdout } = await runNode([compiler, "--noEmit", "--module", "nodenext", "types.ts"], {
      cwd: consumer,
    });
    assert.notEqual(status, 0);
    assert.match(stdout, /asyncio\/index\.d\.ts.*Cannot find type definition file for 'node'/);
  });
});

/** Runs a program of the consumer's; what it prints as a warning is a failure. */
async function runFile(name: string, code: string): Promise<string> {
  const { stdout, stderr } = await runNode([write(name, code)], { cwd: consumer, timeout: 20 });
  assert.equal(stderr, "");
  return stdout;
}

function write(name: string, content: string): string {
  const path = join(consumer, name);
  writeFileSync(path, content);
  return path;
}
