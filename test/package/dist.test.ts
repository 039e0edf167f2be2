/** What every shipped file has to be true to. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { runNode } from "../support/commands.ts";
import { entryPoints, packageRoot } from "../support/paths.ts";

interface Manifest {
  readonly dependencies?: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
  readonly peerDependenciesMeta: Record<string, { readonly optional: boolean }>;
}

interface LockedPackage {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

const { packages: locked } = readJson("package-lock.json") as { packages: Record<string, LockedPackage> };
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
  assert.deepEqual(
    Object.keys(locked).filter((path) => locked[path]?.resolved !== undefined),
    [],
  );
});

test("the lock file asks for the development dependencies of the manifest", () => {
  assert.deepEqual(locked[""]?.devDependencies, manifest.devDependencies);
});

// `npm ci` refuses to install from a lock file that lacks a package, even one for another platform.
test("the lock file holds every package that another one needs on any platform", () => {
  const missing = Object.entries(locked).flatMap(([path, { dependencies, devDependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })
      .filter((name) => !isLocked(name, path))
      .map((name) => `${path || "the package itself"} needs ${name}`),
  );
  assert.deepEqual(missing, []);
});

test("the lock file knows every package by what is in it", () => {
  assert.deepEqual(
    Object.keys(locked).filter((path) => path !== "" && locked[path]?.integrity === undefined),
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

// They are loaded by asyncio/on-demand.js where they are needed.
test("contextvars and asyncio import no module of Node that takes long to import", () => {
  const slow = importsOfDist().filter(
    ({ file, specifier }) =>
      /^(?:contextvars|asyncio)\//.test(file) && /^node:(?:child_process|dns|fs|os|tls|util)$/.test(specifier),
  );
  assert.deepEqual(slow, []);
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

// TypeScript 7 loads no types by itself; a `Buffer` that it does not know would become `any` in silence.
for (const { specifier, types } of entryPoints) {
  test(`the declarations of ${specifier} name Node's types only if they reference them`, () => {
    const codes = declarationsFrom(types).map((file) => readFileSync(join(packageRoot, file), "utf8"));
    const named = codes.flatMap(
      (code) => /\bBuffer\b|\bNodeJS\.|"node:.*"/.exec(code.replace(/\/\*[\s\S]*?\*\//g, "")) ?? [],
    );
    assert.ok(named.length === 0 || codes.some((code) => code.includes('<reference types="node"')), String(named));
  });
}

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

// They take several milliseconds, and many programs need neither.
test("importing contextvars/asyncio loads node:net, and neither node:tls nor node:dns", async () => {
  const program = `
    await import("contextvars/asyncio");
    console.log(process.moduleLoadList.filter((name) => /^NativeModule (?:net|tls|dns)$/.test(name)).join());
  `;
  const { stdout, stderr } = await runNode(["--input-type=module", "--eval", program]);
  assert.equal(stderr, "");
  assert.equal(stdout, "NativeModule net\n");
});

test("importing contextvars/asyncio does not open the standard streams of the process", async () => {
  const program = `
    const opened = [];
    for (const name of ["stdin", "stdout", "stderr"]) {
      const { get } = Object.getOwnPropertyDescriptor(process, name);
      Object.defineProperty(process, name, { get: () => (opened.push(name), get.call(process)) });
    }
    await import("contextvars/asyncio");
    process._rawDebug(JSON.stringify(opened));
  `;
  const { stderr } = await runNode(["--input-type=module", "--eval", program]);
  assert.equal(stderr, "[]\n");
});

/** The file, and all files of declarations that it imports. */
function declarationsFrom(file: string, seen: Set<string> = new Set()): string[] {
  const path = normalize(file);
  if (!seen.has(path)) {
    seen.add(path);
    const code = readFileSync(join(packageRoot, path), "utf8");
    for (const [, relative = ""] of code.matchAll(/\b(?:from|import\()\s*"(\.[^"]+)"/g)) {
      declarationsFrom(join(dirname(path), relative.replace(/\.[jt]s$/, ".d.ts")), seen);
    }
  }
  return [...seen];
}

/** Whether a package finds another one where Node looks for it: among its own packages, or in a folder above. */
function isLocked(name: string, from: string): boolean {
  const folder = from === "" ? "" : `${from}/`;
  if (locked[`${folder}node_modules/${name}`] !== undefined) {
    return true;
  }
  return from !== "" && isLocked(name, from.slice(0, Math.max(0, from.lastIndexOf("/node_modules/"))));
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
