/** A folder for the files and Unix sockets of a test. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of a test's own; disposing of it removes it. */
export class TemporaryFolder implements Disposable {
  // A short path: one of a Unix socket in it has to fit into 107 bytes.
  readonly path: string = mkdtempSync(join(tmpdir(), "peer-"));

  file(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
