/** Where things lie, seen from the compiled tests in `build/test/`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's own directory. */
export const packageRoot: string = fileURLToPath(new URL("../../../", import.meta.url));

/** A compiled program of `test/support/programs/`, by file name, to be run in its own process. */
export function programPath(name: string): string {
  return fileURLToPath(new URL(`./programs/${name}`, import.meta.url));
}

/** The entry points of the package: what is imported, and the declarations behind it. */
export const entryPoints: readonly { readonly specifier: string; readonly types: string }[] = entryPointsOf(
  JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as Manifest,
);

interface Manifest {
  readonly name: string;
  readonly exports: Record<string, string | { readonly types: string }>;
}

function entryPointsOf({ name, exports }: Manifest): { specifier: string; types: string }[] {
  return Object.entries(exports).flatMap(([path, target]) =>
    typeof target === "string" ? [] : [{ specifier: name + path.slice(1), types: target.types }],
  );
}
