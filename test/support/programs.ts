/** Runs a small program in its own process, on the runtime of the tests. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { programPath } from "./paths.ts";
import { runtime } from "./runtime.ts";

const execFileAsync = promisify(execFile);

/** Runs a compiled program of `test/support/programs/` and returns the JSON that it printed. */
export async function runProgram(name: string, ...args: string[]): Promise<unknown> {
  const before = runtime === "deno" ? ["run", "-A", "--no-check"] : [];
  const { stdout } = await execFileAsync(process.execPath, [...before, programPath(name), ...args]);
  return JSON.parse(stdout);
}
