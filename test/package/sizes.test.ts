/**
 * What each entry point weighs: bundled with all it imports, minified, and compressed by brotli. The page of performance shows
 * the sizes, and each may grow by a tenth before the test fails. To renew them:
 * `npm run build && node build/test/package/sizes.test.js --update`.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync } from "node:zlib";
import { build } from "esbuild";
import { isUpdate, readPart, writePart } from "../support/generated.ts";
import { entryPoints, packageRoot } from "../support/paths.ts";

const PAGE = "docs/guides/performance.md";
const PLACE = /(?<=<!-- sizes -->\n\n)(?:\|.*\n)+/;
const ROOM = 1.1;
const KIB = 1024;

/** What a program imports, and what it is called on the page. */
const imports: Readonly<Record<string, string>> = {
  ...Object.fromEntries(entryPoints.map(({ specifier }) => [`\`${specifier}\``, `export * from "${specifier}";`])),
  "only `sleep` and `createTask`": `export { createTask, sleep } from "contextvars/asyncio";`,
};

/** In KiB. */
async function sizeOf(contents: string): Promise<number> {
  const {
    outputFiles: [bundle],
  } = await build({
    stdin: { contents, resolveDir: packageRoot },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "node",
    external: ["@opentelemetry/api"],
    write: false,
  });
  assert.ok(bundle !== undefined);
  return brotliCompressSync(bundle.contents).length / KIB;
}

if (isUpdate) {
  const rows = await Promise.all(
    Object.entries(imports).map(async ([name, code]) => `| ${name} | ${(await sizeOf(code)).toFixed(1)} KiB |\n`),
  );
  writePart(PAGE, PLACE, `| import | bundled, minified, brotli |\n| --- | ---: |\n${rows.join("")}`);
} else {
  const stated = new Map(
    [...readPart(PAGE, PLACE).matchAll(/^\| (.+) \| ([\d.]+) KiB \|$/gm)].map(([, name = "", size]) => [
      name,
      Number(size),
    ]),
  );

  test("the page states a size for each entry point, and for no other", () => {
    assert.deepEqual([...stated.keys()], Object.keys(imports));
  });

  for (const [name, code] of Object.entries(imports)) {
    test(`${name} weighs what the page states, give or take a tenth`, async () => {
      const size = await sizeOf(code);
      const said = stated.get(name) ?? 0;
      assert.ok(size <= said * ROOM && size * ROOM >= said, `${size.toFixed(1)} KiB, and the page says ${said}`);
    });
  }
}
