/** A second installed copy of the package, as two versions in one tree of dependencies would be. */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { packageRoot } from "./paths.ts";

interface Copy {
  readonly contextvars: typeof import("contextvars");
  readonly asyncio: typeof import("contextvars/asyncio");
}

/** Copies the published files to a new directory and imports them from there. */
export async function importCopy(): Promise<Copy> {
  const directory = await mkdtemp(join(tmpdir(), "contextvars-copy-"));
  try {
    await cp(join(packageRoot, "package.json"), join(directory, "package.json"));
    await cp(join(packageRoot, "dist"), join(directory, "dist"), { recursive: true });
    const load = (file: string): Promise<unknown> => import(pathToFileURL(join(directory, file)).href);
    return {
      contextvars: (await load("dist/contextvars/index.js")) as Copy["contextvars"],
      asyncio: (await load("dist/asyncio/index.js")) as Copy["asyncio"],
    };
  } finally {
    await rm(directory, { recursive: true });
  }
}
