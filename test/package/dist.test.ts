/** What every shipped file has to be true to. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runNode } from "../support/commands.ts";
import { entryPoints, packageRoot } from "../support/paths.ts";

interface Manifest {
  readonly dependencies?: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
  readonly peerDependenciesMeta: Record<string, { readonly optional: boolean }>;
}

interface LockFile {
  readonly packages: Record<string, { readonly resolved?: string }>;
}

const manifest = readJson("package.json") as Manifest;

test("the package depends on nothing that has to be installed", () => {
  assert.deepEqual(Object.keys(manifest.dependencies ?? {}), []);
  const needed = Object.keys(manifest.peerDependencies).filter(
    (name) => !manifest.peerDependenciesMeta[name]?.optional,
  );
  assert.deepEqual(needed, []);
});

test("development dependencies are pinned to one version each", () => {
  const loose = Object.entries(manifest.devDependencies).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
  assert.deepEqual(loose, []);
});

test("the lock file names no address to download from", () => {
  const { packages } = readJson("package-lock.json") as LockFile;
  assert.deepEqual(
    Object.keys(packages).filter((path) => packages[path]?.resolved !== undefined),
    [],
  );
});

test("dist imports its own files, Node's modules and optional peers only", () => {
  const peers = Object.keys(manifest.peerDependencies);
  const foreign = importsOfDist().filter(
    ({ specifier }) => !/^(\.|node:)/.test(specifier) && !peers.includes(specifier),
  );
  assert.deepEqual(foreign, []);
});

test("dist imports node:async_hooks in contextvars/current.js alone", () => {
  const files = importsOfDist().filter(({ specifier }) => specifier === "node:async_hooks");
  assert.deepEqual([...new Set(files.map(({ file }) => file))], ["contextvars/current.js"]);
});

test("the root entry imports no other module of Node than node:async_hooks", () => {
  const imports = importsOfDist().filter(({ file }) => file.startsWith("contextvars/") || !file.includes("/"));
  const modules = new Set(imports.map(({ specifier }) => specifier).filter((specifier) => /^node:/.test(specifier)));
  assert.deepEqual([...modules], ["node:async_hooks"]);
});

for (const { specifier } of entryPoints) {
  // With hooks on, every promise of the process costs more, and its reactions run under an id of their own.
  test(`importing ${specifier} leaves the async hooks of the process off`, async () => {
    const program = `
      import { createHook, executionAsyncId } from "node:async_hooks";
      const idOfReaction = () => Promise.resolve().then(() => executionAsyncId());
      await import("${specifier}");
      const afterImport = await idOfReaction();
      createHook({ init() {} }).enable();
      console.log(afterImport, (await idOfReaction()) > 0);
    `;
    const { stdout, stderr } = await runNode(["--input-type=module", "--eval", program]);
    assert.equal(stderr, "");
    assert.equal(stdout, "0 true\n");
  });
}

function importsOfDist(): { file: string; specifier: string }[] {
  const folder = join(packageRoot, "dist");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((file) => file.replaceAll("\\", "/"));
  return files
    .filter((file) => file.endsWith(".js"))
    .flatMap((file) => {
      const code = readFileSync(join(folder, file), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
      const found = code.matchAll(
        /^(?:import|(?:export|\})[^"'\n]*\bfrom)[^"'\n]*["']([^"'\n]+)["'];$|\bimport\(["']([^"'\n]+)["']\)/gm,
      );
      return [...found].map(([, named, dynamic]) => ({ file, specifier: named ?? dynamic ?? "" }));
    });
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(packageRoot, path), "utf8"));
}
