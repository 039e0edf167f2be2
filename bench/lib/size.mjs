/** How large the package is: the JavaScript that each entry loads. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

/** In bytes. @type {Record<string, () => number>} */
export const PACKAGE_SIZES = {
  contextvars: () => total("dist/contextvars/index.js", (code) => code.length),
  "contextvars, gzip": () => total("dist/contextvars/index.js", (code) => gzipSync(code).length),
  "contextvars/asyncio": () => total("dist/asyncio/index.js", (code) => code.length),
  "contextvars/asyncio, gzip": () => total("dist/asyncio/index.js", (code) => gzipSync(code).length),
};

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
