/** A second installed copy of the package, as two versions in one tree of dependencies would be. */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { packageRoot } from "./paths.ts";

/** Copies what is shipped to a directory of its own and imports it from there. */
export async function importCopy(): Promise<typeof import("contextvars")> {
  const directory = await mkdtemp(join(tmpdir(), "contextvars-copy-"));
  try {
    await cp(join(packageRoot, "package.json"), join(directory, "package.json"));
    await cp(join(packageRoot, "dist"), join(directory, "dist"), { recursive: true });
    return (await import(pathToFileURL(join(directory, "dist/contextvars/index.js")).href)) as never;
  } finally {
    await rm(directory, { recursive: true });
  }
}
