/** The size of the package: the JavaScript that each entry point loads. Makes the package as it is published. */
import { cpSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { CACHE, fail, run } from "../../scripts/support.mjs";

/** In bytes. @type {Record<string, () => number>} */
export const PACKAGE_SIZES = {
  contextvars: () => total("dist/contextvars/index.js", (code) => code.length),
  "contextvars, gzip": () => total("dist/contextvars/index.js", (code) => gzipSync(code).length),
  "contextvars/asyncio": () => total("dist/asyncio/index.js", (code) => code.length),
  "contextvars/asyncio, gzip": () => total("dist/asyncio/index.js", (code) => gzipSync(code).length),
};

/**
 * The package as it is published, for programs that import it.
 *
 * @returns {string} The folder of its entry points, as a URL.
 */
export function packedCopy() {
  const folder = resolve(CACHE, "bench/package");
  rmSync(folder, { recursive: true, force: true });
  for (const part of ["dist", "package.json"]) {
    cpSync(part, join(folder, part), { recursive: true });
  }
  if (run(process.execPath, ["scripts/pack.mjs", folder]) !== 0) {
    fail("the package cannot be packed");
  }
  return pathToFileURL(join(folder, "dist/packed")).href;
}

/**
 * What a program that imports a few functions of asyncio has of the package in its bundle, in bytes.
 *
 * @param {string[]} names
 */
export async function bundledSize(names) {
  const { outputFiles } = await build({
    stdin: { contents: `export { ${names.join(", ")} } from "contextvars/asyncio";`, resolveDir: "." },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "node",
    write: false,
  });
  return brotliCompressSync(outputFiles[0]?.contents ?? "").length;
}

/**
 * @param {string} entry
 * @param {(code: Buffer) => number} measure
 */
function total(entry, measure) {
  return measure(Buffer.concat([...filesFrom(entry)].map((file) => readFileSync(file))));
}

/**
 * The file and all that it imports, of the package's own.
 *
 * @param {string} file
 * @param {Set<string>} seen
 */
function filesFrom(file, seen = new Set()) {
  if (seen.has(file)) {
    return seen;
  }
  seen.add(file);
  for (const [, path = ""] of readFileSync(file, "utf8").matchAll(/^(?:import|export|\}) ?.*?"(\.[^"]+)";$/gm)) {
    filesFrom(join(dirname(file), path), seen);
  }
  return seen;
}
