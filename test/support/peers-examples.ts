/** Running the programs of `examples/`, on the runtime the tests run on. */
import { External, examplePath } from "./external.ts";
import { runtime } from "./runtime.ts";

/** Starts a compiled example in its own process. */
export function startExample(name: string, ...args: readonly string[]): External {
  const before = runtime === "deno" ? ["run", "-A", "--no-check"] : [];
  return new External(process.execPath, [...before, examplePath(name), ...args]);
}

/** What is left of an example that has ended. */
export interface EndedExample {
  readonly status: number | null;
  /** What it printed, line by line. */
  readonly lines: readonly string[];
  readonly stderr: string;
}

/** Runs an example to its end. */
export async function runExample(name: string, ...args: readonly string[]): Promise<EndedExample> {
  await using example = startExample(name, ...args);
  return await ended(example);
}

/** Presses Ctrl-C, and waits for the end. */
export async function interrupt(example: External): Promise<EndedExample> {
  // Not by the child's own kill(): Deno then takes it for ended by the signal, whatever its status is.
  process.kill(example.pid as number, "SIGINT");
  return ended(example);
}

async function ended(example: External): Promise<EndedExample> {
  const status = await example.ended();
  return { status, lines: example.stdout.trimEnd().split("\n"), stderr: example.stderr };
}
