/** Whether a runtime can import and require every entry point of the package as npm installs it. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { CACHE, fail, npm, readJson, run } from "./support.mjs";

const FOLDER = join(CACHE, "installed");
const PROGRAM = join(FOLDER, "main.cjs");

/** Packs the package, and installs it in an empty project. Optional peers are put beside it. */
export function installPackage() {
  const { name, version, exports } = readJson("package.json");
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, "package.json"), JSON.stringify({ private: true }));
  const tarball = resolve(FOLDER, `${name}-${version}.tgz`);
  if (
    npm(["pack", "--ignore-scripts", "--silent", "--pack-destination", FOLDER]) !== 0 ||
    npm(["install", "--offline", "--omit=peer", "--silent", "--prefix", FOLDER, tarball]) !== 0
  ) {
    fail("the package cannot be installed");
  }
  if (run(process.execPath, ["scripts/pack.mjs", join(FOLDER, "node_modules", name)]) !== 0) {
    fail("the package cannot be packed");
  }
  const peer = "node_modules/@opentelemetry/api";
  cpSync(peer, join(FOLDER, peer), { recursive: true });
  const specifiers = Object.keys(exports)
    .filter((path) => path !== "./package.json")
    .map((path) => name + path.slice(1));
  writeFileSync(
    PROGRAM,
    `
    const assert = require("node:assert/strict");
    async function main() {
      for (const specifier of ${JSON.stringify(specifiers)}) {
        const imported = await import(specifier);
        assert.ok(Object.keys(imported).length > 0, specifier);
        for (const [key, value] of Object.entries(require(specifier))) {
          assert.equal(value, imported[key], specifier + " " + key);
        }
      }
      console.log("ok");
    }
    main();
    `,
  );
}

/**
 * @param {string} program The runtime.
 * @param {string[]} options What it needs to run a file.
 * @returns {string} What is wrong; empty if nothing is.
 */
export function checkInstalled(program, options) {
  const { stdout, stderr } = spawnSync(program, [...options, PROGRAM], { encoding: "utf8" });
  return stdout === "ok\n" ? "" : `the installed package cannot be imported and required: ${stdout}${stderr}`;
}
