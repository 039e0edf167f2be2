/**
 * The measured programs and the measuring ones. Each is pinned to its own core. The program that started it ends it, and it
 * ends by itself when its standard input ends.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";

export const SERVER_CORE = 0;
export const CLIENT_CORE = 1;
const TIME_LIMIT = 60_000; // milliseconds, for anything that is waited for
const canPin = availableParallelism() > 1 && spawnSync("taskset", ["--version"]).status === 0;

/** Whether programs stay on a core of their own. */
export const isPinned = canPin;

/** @typedef {{ program: string, args: string[], env?: Record<string, string> }} Command */

/** A program that runs until it is stopped, and answers lines with lines. */
export class Program {
  #process;
  #lines;
  #stderr = "";
  #name;

  /**
   * @param {Command} command
   * @param {number} core
   */
  constructor(command, core) {
    const { program, args } = pinned(command, core);
    this.#name = command.args.join(" ");
    this.#process = spawn(program, args, { env: { ...process.env, ...command.env }, stdio: "pipe" });
    this.#process.stderr.setEncoding("utf8").on("data", (text) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-2000);
    });
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
    // Writing to one that has ended is no news: reading from it says so.
    this.#process.stdin.on("error", () => {});
    this.#process.on("error", (error) => {
      this.#stderr += error.message;
    });
  }

  get pid() {
    return this.#process.pid ?? 0;
  }

  /** The next line it prints. @returns {Promise<string>} */
  async line() {
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), TIME_LIMIT);
    const { done, value } = await this.#lines.next();
    clearTimeout(timer);
    if (done) {
      throw new Error(`${this.#name} ended: ${this.#stderr.trim() || "without a word"}`);
    }
    return value;
  }

  /**
   * Its memory, after a collection where it has a collector; in bytes.
   *
   * @returns {Promise<{ resident: number, peak: number, heap: number }>}
   */
  async memory() {
    this.#process.stdin.write("memory\n");
    const { heap = 0 } = JSON.parse(await this.line());
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    /** @param {string} name */
    const bytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) * 1024;
    return { resident: bytes("VmRSS"), peak: bytes("VmHWM"), heap };
  }

  async stop() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null || this.#process.pid === undefined) {
      return;
    }
    const exit = once(this.#process, "exit");
    this.#process.stdin.end();
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 2000);
    await exit;
    clearTimeout(timer);
  }
}

/**
 * Runs a program to its end, and reads the JSON on the last line it prints.
 *
 * @param {Command} command
 * @param {number} core
 * @returns {Promise<any>}
 */
export async function measure(command, core) {
  const program = new Program(command, core);
  try {
    return JSON.parse(await program.line());
  } finally {
    await program.stop();
  }
}

/**
 * @param {Command} command
 * @param {number} core
 * @returns {Command}
 */
function pinned({ program, args }, core) {
  return canPin ? { program: "taskset", args: ["-c", String(core), program, ...args] } : { program, args };
}
