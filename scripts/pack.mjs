/**
 * Makes what is compiled ready to be published: puts the code of all entry points into a few files, because the number of
 * files is most of what an import costs.
 *
 *     node scripts/pack.mjs [FOLDER]   the folder of the package; this one unless given
 *
 * Bundlers get the single modules, of which they keep what a program uses: the condition `module` in package.json.
 */
import { readFileSync } from "node:fs";
import { relative, resolve, sep } from "node:path";
import { transformSync } from "esbuild";
import { rollup } from "rollup";
import { fail, packedEntries } from "./support.mjs";

const [, , folder = "."] = process.argv;
const entries = packedEntries(folder);

const bundle = await rollup({
  input: Object.fromEntries(entries.map(({ name, module }) => [name, resolve(folder, module)])),
  external: /^(?:node:|@)/,
  plugins: [{ name: "with the compiler's maps, from dist to src", load: withoutComments }],
  onLog: (_, { message }) => fail(message),
});
await bundle.write({
  dir: resolve(folder, "dist/packed"),
  format: "es",
  sourcemap: true,
  sourcemapExcludeSources: true,
  // src/asyncio/debug/stacks.ts knows the package's own frames by it.
  chunkFileNames: "shared-[name].js",
  minifyInternalExports: false,
  manualChunks: roomOf,
});
await bundle.close();

/**
 * Two files hold what several entry points use: one the variables, which most of them need, and one all of asyncio.
 *
 * @param {string} module
 */
function roomOf(module) {
  const path = relative(resolve(folder, "dist"), module).replaceAll(sep, "/");
  if (/^(?:contextvars\/(?!index)|(?:errors|repr)\.js)/.test(path)) {
    return "contextvars";
  }
  return /^(?:asyncio\/(?!index)|io-errors\.js)/.test(path) ? "asyncio" : null;
}

/**
 * A module without its comments, which are half of it and which every import would read. They are in src and in the
 * declarations. The lines stay, for the map.
 *
 * @param {string} file
 */
function withoutComments(file) {
  const code = readFileSync(file, "utf8");
  const bare = code.replace(/^[ \t]*(?:\/\/(?!#).*|\/\*(?:(?!\*\/)[\s\S])*\*\/[ \t]*)$/gm, (comment) =>
    comment.replace(/.+/g, ""),
  );
  if (minified(bare) !== minified(code)) {
    fail(`${file}: what looks like a comment is none, and scripts/pack.mjs has to leave it`);
  }
  return { code: bare, map: readFileSync(`${file}.map`, "utf8") };
}

/** @param {string} code */
function minified(code) {
  return transformSync(code, { minifyWhitespace: true, legalComments: "none" }).code;
}
