/** Running other programs, for tests of the project's own files. */
import { spawn } from "node:child_process";
import { packageRoot } from "./paths.ts";

/** What is left of a program that has ended. */
export interface Ended {
  /** Its exit status, or `null` if a signal ended it, as after a timeout. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where and how long a program runs. */
export interface CommandOptions {
  /** @default the package's own folder */
  readonly cwd?: string;
  /** @default this process's own */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** In seconds; it is killed then. @default no limit */
  readonly timeout?: number;
}

/** Runs a program to its end, without input. */
export function runCommand(program: string, args: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? packageRoot,
      env: options.env ?? process.env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: (options.timeout ?? 0) * 1000,
      killSignal: "SIGKILL",
      // npm is a script on Windows.
      shell: process.platform === "win32" && program === "npm",
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (status) => {
      resolve({ status, stdout, stderr });
    });
  });
}

/** Runs node with the arguments. */
export function runNode(args: readonly string[], options?: CommandOptions): Promise<Ended> {
  return runCommand(process.execPath, args, options);
}
