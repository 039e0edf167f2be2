/**
 * Child processes: `createSubprocessExec()`, `createSubprocessShell()`, Process.
 *
 * A child's pipes are Node streams, wrapped like any others by `StreamReader.from()` and `StreamWriter.from()`.
 * `node:child_process` is loaded by the first call, since most programs start no process.
 */
import type { ChildProcess } from "node:child_process";
import { ValueError } from "../errors.ts";
import {
  BrokenPipeError,
  ConnectionResetError,
  NotImplementedError,
  OSError,
  ProcessLookupError,
} from "../io-errors.ts";
import { Inspectable, repr } from "../repr.ts";
import { notConstructible } from "./arguments.ts";
import { quiet } from "./async-stacks.ts";
import { gather } from "./combinators.ts";
import { nodeChildProcess, nodeFs, nodeOs } from "./on-demand.ts";
import { closed, opened } from "./open.ts";
import { sleep } from "./sleep.ts";
import { checkedLimit } from "./streams/read-arguments.ts";
import { DEFAULT_LIMIT, StreamReader } from "./streams/reader.ts";
import { StreamWriter } from "./streams/writer.ts";
import {
  checkArguments,
  checkedSpawning,
  checkText,
  type Spawning,
  type SubprocessOptions,
} from "./subprocess-options.ts";
import { errorAtPath, systemError, toOSError } from "./transports/os-errors.ts";
import { WaitSet } from "./wait-set.ts";

/** The result of `communicate()`: the output and the error output, each `null` if it is not a pipe. */
export type Communicated = [stdout: Buffer | null, stderr: Buffer | null];

/** Every child that was started and has not ended. */
const running = new Set<Process>();

/**
 * A child process, created by {@linkcode createSubprocessExec} or {@linkcode createSubprocessShell}.
 *
 * Python: `asyncio.subprocess.Process`. Differs: `wait()` returns when the process has ended, even if its own children
 * still hold its pipes.
 */
export class Process extends Inspectable {
  /** The process ID. */
  readonly pid: number;
  /** Writes to the child's input; `null` unless `stdin` was `PIPE`. */
  readonly stdin: StreamWriter | null;
  /** Reads the child's output; `null` unless `stdout` was `PIPE`. */
  readonly stdout: StreamReader | null;
  /** Reads the child's error output; `null` unless `stderr` was `PIPE`. */
  readonly stderr: StreamReader | null;
  readonly #child: ChildProcess;
  #returncode: number | null = null;
  readonly #waits = new WaitSet<number>();

  /** @internal */
  constructor(child: ChildProcess, limit: number | undefined) {
    super();
    if (typeof child?.kill !== "function") {
      throw notConstructible("Process", "call createSubprocessExec()");
    }
    this.#child = child;
    this.pid = child.pid as number;
    this.stdin = child.stdin && StreamWriter.from(child.stdin);
    this.stdout = child.stdout && StreamReader.from(child.stdout, { limit });
    this.stderr = child.stderr && StreamReader.from(child.stderr, { limit });
    running.add(this);
    opened(this);
    child.once("exit", (code, signal) => this.#ended(code, signal));
  }

  /**
   * The exit status; negative if a signal ended the process, such as -15 for SIGTERM. `null` while the process runs.
   *
   * Python: `Process.returncode`.
   */
  get returncode(): number | null {
    return this.#returncode;
  }

  /**
   * Waits until the process has ended, and returns `returncode`.
   *
   * A child whose output is not read may never end: use `communicate()`, or read while you wait. Output that it has
   * written can still be read afterwards. A cancellation does not affect the process.
   *
   * Python: `Process.wait()`.
   */
  wait(): Promise<number> {
    if (this.#returncode !== null) {
      return Promise.resolve(this.#returncode);
    }
    // The process may have been left running at the end of run().
    this.#child.ref();
    return this.#waits.begin(
      () => `Process.wait() ${this.pid}`,
      () => true,
    );
  }

  /**
   * Sends `input` to the child, closes its input, reads everything it writes, and waits until it has ended.
   *
   * It does all of this at the same time, so that no pipe stays full. It does not throw if the child reads no input or
   * closes it early. The child's output is kept in memory, regardless of `limit`. After a cancellation the process
   * continues, and the output that had arrived can still be read.
   *
   * Python: `Process.communicate()`. Differs: accepts strings, which are encoded as UTF-8.
   *
   * @param input - The bytes or text to send. Ignored if `stdin` is not `PIPE`.
   */
  communicate(input?: Uint8Array | string | null): Promise<Communicated> {
    return quiet(this.#communicate(input ?? null));
  }

  async #communicate(input: Uint8Array | string | null): Promise<Communicated> {
    const [, stdout, stderr] = await gather([
      () => this.#feed(input),
      () => this.stdout?.read() ?? null,
      () => this.stderr?.read() ?? null,
    ]);
    await this.wait();
    return [stdout, stderr];
  }

  /**
   * Sends a signal to the process.
   *
   * Python: `Process.send_signal()`. Differs: accepts names as well.
   *
   * @param signal - The signal's name or number.
   * @throws {ProcessLookupError} If the process has ended.
   * @throws {PermissionError} If the process belongs to another user.
   * @throws {ValueError} If there is no such signal.
   */
  sendSignal(signal: NodeJS.Signals | number): void {
    if (this.#returncode !== null) {
      throw new ProcessLookupError(`${this} has ended with ${this.#returncode}; check returncode first`);
    }
    if (!isSignal(signal)) {
      throw new ValueError(`sendSignal(): signal must be the name or the number of a signal, got ${repr(signal)}`);
    }
    try {
      // The child's own method is not used: Deno assumes that the signal ends the process, although it may be caught.
      process.kill(this.pid, signal);
    } catch (error) {
      const translated = toOSError(error);
      // The process has ended, but this was not reported yet: Python throws no error here either.
      if (!(translated instanceof ProcessLookupError)) {
        throw translated;
      }
    }
  }

  /**
   * Sends SIGTERM, which asks the process to end. Python: `Process.terminate()`. @throws The errors of `sendSignal()`.
   */
  terminate(): void {
    this.sendSignal("SIGTERM");
  }

  /** Sends SIGKILL, which ends the process. Python: `Process.kill()`. @throws The errors of `sendSignal()`. */
  kill(): void {
    this.sendSignal("SIGKILL");
  }

  /** Python's `repr()`: `<Process 4711>`. */
  override toString(): string {
    return `<Process ${this.pid}>`;
  }

  /** @internal From now on, the child does not keep this process alive. */
  _unref(): void {
    this.#child.unref();
    for (const pipe of this.#child.stdio) {
      (pipe as { unref?(): void } | null)?.unref?.();
    }
  }

  async #feed(input: Uint8Array | string | null): Promise<void> {
    if (this.stdin === null) {
      return;
    }
    try {
      if (input !== null) {
        await this.stdin.send(input);
      }
    } catch (error) {
      if (!(error instanceof BrokenPipeError || error instanceof ConnectionResetError)) {
        throw error;
      }
    }
    this.stdin.close();
  }

  /** @internal */
  _endNow(): void {
    running.delete(this);
    this.kill();
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    const returncode = signal === null ? (code ?? 0) : -nodeOs().constants.signals[signal];
    this.#returncode = returncode;
    running.delete(this);
    closed(this);
    this.#waits.resolveAll(returncode);
  }
}

/**
 * Starts a program.
 *
 * Python: `asyncio.create_subprocess_exec()`. Differs: takes the arguments as an array.
 *
 * @param program - A path, or a name that is looked up in PATH.
 * @param args - The arguments of the program.
 * @throws {FileNotFoundError} If the program or the folder `cwd` does not exist.
 * @throws {PermissionError} If the program may not be executed.
 * @throws {OSError} If the process cannot be started for another reason.
 * @throws {TypeError} If an argument or an option is of the wrong type.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const process = await asyncio.createSubprocessExec("sort", ["-r"], { stdin: asyncio.PIPE, stdout: asyncio.PIPE });
 * const [stdout] = await process.communicate("a\nb\n");
 * assert.equal(String(stdout), "b\na\n");
 * assert.equal(process.returncode, 0);
 * ```
 */
export function createSubprocessExec(
  program: string,
  args: readonly string[] = [],
  options: SubprocessOptions = {},
): Promise<Process> {
  return quiet(exec(program, args, options));
}

async function exec(program: string, args: readonly string[], options: SubprocessOptions): Promise<Process> {
  const caller = "createSubprocessExec()";
  checkText(`${caller}: program`, program);
  checkArguments(args);
  const spawning = checkedSpawning(caller, options);
  if (!spawning.mergesOutputs) {
    return started(program, args, spawning.options, options);
  }
  checkHasShell(caller);
  checkProgram(program, spawning);
  return started(
    "/bin/sh",
    ["-c", `${joinOutputs(spawning)}exec "$@"`, "sh", program, ...args],
    spawning.options,
    options,
  );
}

/**
 * Runs a command in the shell: `/bin/sh`, or `cmd.exe` on Windows.
 *
 * Python: `asyncio.create_subprocess_shell()`.
 *
 * @param command - The command for the shell. Untrusted text in it is executed as well: quote it, or use
 * `createSubprocessExec()`.
 * @throws {FileNotFoundError} If the folder `cwd` does not exist.
 * @throws {OSError} If the process cannot be started for another reason.
 * @throws {TypeError} If an argument or an option is of the wrong type.
 *
 * @example
 * ```ts
 * import * as asyncio from "contextvars/asyncio";
 * import assert from "node:assert/strict";
 *
 * const process = await asyncio.createSubprocessShell("exit 7");
 * assert.equal(await process.wait(), 7);
 * ```
 */
export function createSubprocessShell(command: string, options: SubprocessOptions = {}): Promise<Process> {
  return quiet(shell(command, options));
}

async function shell(command: string, options: SubprocessOptions): Promise<Process> {
  const caller = "createSubprocessShell()";
  checkText(`${caller}: command`, command);
  const spawning = checkedSpawning(caller, options);
  if (spawning.mergesOutputs) {
    checkHasShell(caller);
    return started("/bin/sh", ["-c", joinOutputs(spawning) + command], spawning.options, options);
  }
  // Node refuses an empty command, which does nothing.
  return started(command || " ", [], { ...spawning.options, shell: true }, options);
}

/** The running child processes, for `run()`, which warns about those that it leaves behind. */
export function runningProcesses(): Set<Process> {
  return new Set(running);
}

/** Warns about every running child that is not in `before`, which then no longer keeps this process alive. */
export function leaveProcesses(before: ReadonlySet<Process>): void {
  for (const process of running) {
    if (!before.has(process)) {
      process._unref();
      globalThis.process.emitWarning(
        `${process} still runs at the end of run(); await its wait(), or kill() it before`,
        "ResourceWarning",
      );
    }
  }
}

async function started(
  program: string,
  args: readonly string[],
  spawning: Spawning["options"],
  { limit }: SubprocessOptions,
): Promise<Process> {
  checkedLimit(limit ?? DEFAULT_LIMIT);
  // Node would refuse an empty program with an error of its own, and take an empty folder for the current one.
  if (spawning.cwd === "") {
    throw spawnFailure("ENOENT", "");
  }
  if (program === "") {
    throw spawnFailure("EACCES", "");
  }
  let child: ChildProcess;
  try {
    child = nodeChildProcess().spawn(program, args, spawning);
  } catch (error) {
    throw spawnError(error, program, spawning);
  }
  if (child.pid === undefined) {
    throw spawnError(await failure(child), program, spawning);
  }
  const process = new Process(child, limit);
  try {
    // As in Python, the task can be cancelled here; a process that was never returned must not continue.
    await sleep(0);
  } catch (error) {
    process.kill();
    await process.wait();
    throw error;
  }
  return process;
}

function failure(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => {
    child.once("error", resolve);
  });
}

/** The error for a program that could not be started, in Python's words: it names the missing file. */
function spawnError(error: unknown, program: string, { cwd, shell }: Spawning["options"]): unknown {
  const translated = toOSError(error);
  if (!(translated instanceof OSError)) {
    return error;
  }
  const isOfFolder = translated.code !== "EACCES" && cwd !== undefined && !isFolder(cwd);
  // The program of a command is the shell.
  return errorAtPath(error, isOfFolder ? cwd : shell === true ? "/bin/sh" : program);
}

/** The error that the system would report for the path. */
function spawnFailure(code: "EACCES" | "ENOENT", path: string): unknown {
  return systemError(code, "spawn", undefined, path);
}

function isFolder(path: string | URL): boolean {
  return nodeFs().statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The shell command that first joins both outputs into one pipe. */
function joinOutputs({ options: { env } }: Spawning): string {
  // The shell sets PWD even if the environment should not contain it.
  return `${env?.["PWD"] === undefined ? "unset PWD; " : ""}exec 2>&1; `;
}

function checkHasShell(caller: string): void {
  if (process.platform === "win32") {
    throw new NotImplementedError(
      `${caller}: stderr: STDOUT together with stdout: PIPE is not possible on Windows; read both pipes`,
    );
  }
}

/** Throws the error that starting the program would throw: a shell that starts it reports only an exit status. */
function checkProgram(program: string, { options: { cwd = ".", env } }: Spawning): void {
  const { accessSync, constants: access, existsSync, statSync } = nodeFs();
  const folders = program.includes("/") ? [cwd] : (env?.["PATH"] ?? "/usr/bin:/bin").split(":");
  if (!existsSync(cwd)) {
    return;
  }
  let found = false;
  for (const folder of folders) {
    const path = program.startsWith("/") ? program : `${folder || "."}/${program}`;
    found ||= existsSync(path);
    try {
      accessSync(path, access.X_OK);
      if (statSync(path).isFile()) {
        return;
      }
    } catch {
      // Missing or not executable; the next folder may have it.
    }
  }
  throw found ? spawnFailure("EACCES", program) : spawnFailure("ENOENT", program);
}

function isSignal(signal: unknown): boolean {
  return (
    signal === 0 ||
    Object.entries(nodeOs().constants.signals).some(([name, number]) => signal === name || signal === number)
  );
}
