/** This package as npm installs it, for projects outside of this one. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./commands.ts";
import { packageRoot } from "./paths.ts";

const PEER = "node_modules/@opentelemetry/api";

/** Packs the package and puts it into the folder's `node_modules`, with its optional peer. */
export async function installPackageIn(folder: string): Promise<void> {
  // Without scripts: packing would otherwise build anew, while other tests run what is built.
  await npm("pack", "--ignore-scripts", "--pack-destination", folder);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) as string;
  const apart = join(folder, "apart");
  mkdirSync(apart);
  await npm("install", "--offline", "--no-save", "--omit=peer", "--prefix", apart, join(folder, tarball));
  const installed = "node_modules/contextvars";
  cpSync(join(apart, installed), join(folder, installed), { recursive: true });
  cpSync(join(packageRoot, PEER), join(folder, PEER), { recursive: true });
}

async function npm(...args: string[]): Promise<void> {
  const { status, stderr } = await runCommand("npm", args);
  assert.equal(status, 0, stderr);
}
