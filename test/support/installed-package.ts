/** This package as npm installs it, for projects outside of this one. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand, runNode } from "./commands.ts";
import { packageRoot } from "./paths.ts";

const PEER = "node_modules/@opentelemetry/api";

let packed: Promise<string> | undefined;
let installed: Promise<string> | undefined;

/** Packs the package, once in a process, and returns the path of the tarball. */
export function packPackage(): Promise<string> {
  packed ??= pack();
  return packed;
}

/** Installs the package in an empty project, once in a process, and returns the folder of the project. */
export function installPackage(): Promise<string> {
  installed ??= install();
  return installed;
}

/** Puts the package into the folder's `node_modules`, with its optional peer. */
export async function installPackageIn(folder: string): Promise<void> {
  const name = "node_modules/contextvars";
  cpSync(join(await installPackage(), name), join(folder, name), { recursive: true });
  cpSync(join(packageRoot, PEER), join(folder, PEER), { recursive: true });
}

async function pack(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "contextvars-tarball-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  // In a copy: what makes it ready would otherwise change what other tests run.
  const copy = join(folder, "package");
  const { files } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { files: string[] };
  for (const part of ["package.json", "README.md", "LICENSE", ...files]) {
    cpSync(join(packageRoot, part), join(copy, part), { recursive: true });
  }
  const { status, stderr } = await runNode([join(packageRoot, "scripts/pack.mjs"), copy]);
  assert.equal(status, 0, stderr);
  await npm("pack", "--ignore-scripts", "--pack-destination", folder, copy);
  const tarball = readdirSync(folder).find((file) => file.endsWith(".tgz"));
  assert.ok(tarball !== undefined, "npm pack made no tarball");
  return join(folder, tarball);
}

/** The project is beside the tarball. */
async function install(): Promise<string> {
  const tarball = await packPackage();
  const project = join(tarball, "../project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "project", private: true }));
  await npm("install", "--offline", "--no-audit", "--no-fund", "--prefix", project, tarball);
  return project;
}

async function npm(...args: string[]): Promise<void> {
  const { status, stderr } = await runCommand("npm", args);
  assert.equal(status, 0, stderr);
}
