/** Where things lie, seen from the compiled tests in `build/test/`. */
import { fileURLToPath } from "node:url";

/** The package's own directory. */
export const packageRoot: string = fileURLToPath(new URL("../../../", import.meta.url));

/** A compiled program of `test/support/programs/`, by file name, to be run in a process of its own. */
export function programPath(name: string): string {
  return fileURLToPath(new URL(`./programs/${name}`, import.meta.url));
}
