/**
 * Child processes: `createSubprocessExec()`, `createSubprocessShell()`, Process.
 *
 * The pipes of a child are streams of Node, taken as any others are (`StreamReader.from()`, `StreamWriter.from()`).
 * `node:child_process` is loaded by the first call, since most programs start no process.
 */
import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import {
  BrokenPipeError,
  ConnectionResetError,
  NotImplementedError,
  OSError,
  ProcessLookupError,
  ValueError,
} from "../errors.ts";
import { inspectCustom, repr } from "../repr.ts";
import { gather } from "./combinators.ts";
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
import { sleep } from "./tasks.ts";
import { nodeChildProcess, nodeFs } from "./transports/on-demand.ts";
import { eventError, systemError, toOSError } from "./transports/os-errors.ts";
import { quiet, type Wait, WaitOn } from "./waits.ts";

/** What `communicate()` returns: the output and the errors, `null` for one that is no pipe. */
export type Communicated = [stdout: Buffer | null, stderr: Buffer | null];

/** Every child that was started and has not ended. */
const running = new Set<Process>();

/**
 * A child process, made by {@linkcode createSubprocessExec} or {@linkcode createSubprocessShell}.
 *
 * Python: `asyncio.subprocess.Process`. Differs: `wait()` returns when the process has ended, though its children may still
 * hold its pipes.
 */
export class Process {
  /** The number of the process. */
  readonly pid: number;
  /** Writes to the child's input; `null` unless `stdin` was `PIPE`. */
  readonly stdin: StreamWriter | null;
  /** Reads the child's output; `null` unless `stdout` was `PIPE`. */
  readonly stdout: StreamReader | null;
  /** Reads the child's errors; `null` unless `stderr` was `PIPE`. */
  readonly stderr: StreamReader | null;
  readonly #child: ChildProcess;
  #returncode: number | null = null;
  readonly #waits = new Set<Wait<number>>();

  /** @internal */
  constructor(child: ChildProcess, limit: number | undefined) {
    this.#child = child;
    this.pid = child.pid as number;
    this.stdin = child.stdin && StreamWriter.from(child.stdin);
    this.stdout = child.stdout && StreamReader.from(child.stdout, { limit });
    this.stderr = child.stderr && StreamReader.from(child.stderr, { limit });
    running.add(this);
    child.once("exit", (code, signal) => this.#ended(code, signal));
  }

  /**
   * The exit status; negative if a signal has ended the process: -15 for SIGTERM. `null` while it runs.
   *
   * Python: `Process.returncode`.
   */
  get returncode(): number | null {
    return this.#returncode;
  }

  /**
   * Waits until the process has ended, and returns `returncode`.
   *
   * A child whose output nobody reads may never end: use `communicate()`, or read meanwhile. What it has written can still
   * be read afterwards. A cancellation does nothing to the process.
   *
   * Python: `Process.wait()`.
   */
  wait(): Promise<number> {
    if (this.#returncode !== null) {
      return Promise.resolve(this.#returncode);
    }
    const wait: Wait<number> = new WaitOn(
      () => `Process.wait() ${this.pid}`,
      () => true,
      () => this.#waits.delete(wait),
    );
    this.#waits.add(wait);
    // run() may have left the process behind.
    this.#child.ref();
    return wait.begin();
  }

  /**
   * Sends `input` to the child, closes its input, reads everything it writes, and waits until it has ended.
   *
   * All at the same time, so that no pipe stays full. A child that reads no input, or closes it early, is no error. What the
   * child writes is kept in memory, whatever `limit` is. After a cancellation the process runs on, and what had arrived can
   * still be read.
   *
   * Python: `Process.communicate()`. Differs: takes strings, as UTF-8.
   *
   * @param input - What to send. If `stdin` is not `PIPE`, it is not sent.
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
   * Python: `Process.send_signal()`. Differs: takes names as well.
   *
   * @param signal - Its name or its number.
   * @throws {ProcessLookupError} If the process has ended.
   * @throws {PermissionError} If the process belongs to another user.
   * @throws {ValueError} If there is no such signal.
   */
  sendSignal(signal: NodeJS.Signals | number): void {
    if (this.#returncode !== null) {
      throw new ProcessLookupError(`${this} has ended with ${this.#returncode}; look at returncode before`);
    }
    if (!isSignal(signal)) {
      throw new ValueError(`sendSignal(): signal must be the name or the number of a signal, got ${repr(signal)}`);
    }
    try {
      // Not by the child's own method: Deno takes the signal for what ends the process, though it may be caught.
      process.kill(this.pid, signal);
    } catch (error) {
      const translated = toOSError(error);
      // It has ended, and this is not known yet: no error in Python either.
      if (!(translated instanceof ProcessLookupError)) {
        throw translated;
      }
    }
  }

  /** Asks the process to end, by SIGTERM. Python: `Process.terminate()`. @throws As `sendSignal()` does. */
  terminate(): void {
    this.sendSignal("SIGTERM");
  }

  /** Ends the process, by SIGKILL. Python: `Process.kill()`. @throws As `sendSignal()` does. */
  kill(): void {
    this.sendSignal("SIGKILL");
  }

  /** Python's `repr()`: `<Process 4711>`. */
  toString(): string {
    return `<Process ${this.pid}>`;
  }

  /** @internal */
  [inspectCustom](): string {
    return this.toString();
  }

  /** @internal From now on the process does not keep this one from ending. */
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

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    const returncode = signal === null ? (code ?? 0) : -constants.signals[signal];
    this.#returncode = returncode;
    running.delete(this);
    for (const wait of this.#waits) {
      wait.resolve(returncode);
    }
    this.#waits.clear();
  }
}

/**
 * Starts a program.
 *
 * Python: `asyncio.create_subprocess_exec()`. Differs: takes the arguments as an array.
 *
 * @param program - A path, or a name that is looked up in PATH.
 * @param args - The arguments of the program.
 * @throws {FileNotFoundError} If there is no such program, or no folder `cwd`.
 * @throws {PermissionError} If it may not be run.
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
 * @param command - What the shell runs. Text of others in it is run, too: quote it, or use `createSubprocessExec()`.
 * @throws {FileNotFoundError} If there is no folder `cwd`.
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
  return started(command, [], { ...spawning.options, shell: true }, options);
}

/** Those that run, for `run()`, which warns of those that it leaves behind. */
export function runningProcesses(): Set<Process> {
  return new Set(running);
}

/** Warns of every process that runs and is not one of those, and has none of them keep this process from ending. */
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
    // As in Python, the task can be cancelled here; a process that nobody has got must not run on.
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

/** Why a program could not be started, in Python's words: with the file that is missing. */
function spawnError(error: unknown, program: string, { cwd }: Spawning["options"]): unknown {
  const translated = toOSError(error);
  if (!(translated instanceof OSError)) {
    return error;
  }
  const isOfFolder = translated.code !== "EACCES" && cwd !== undefined && !nodeFs().existsSync(cwd);
  const text = translated.message.replace(/^\[Errno \d+\] /, "");
  return eventError(error, `${text}: ${repr(isOfFolder ? cwd : program)}`);
}

/** What the shell does first so that both outputs go into one pipe. */
function joinOutputs({ options: { env } }: Spawning): string {
  // The shell sets PWD, also where the environment is not to have it.
  return `${env?.["PWD"] === undefined ? "unset PWD; " : ""}exec 2>&1; `;
}

function checkHasShell(caller: string): void {
  if (process.platform === "win32") {
    throw new NotImplementedError(
      `${caller}: stderr: STDOUT together with stdout: PIPE is not possible on Windows; read both pipes`,
    );
  }
}

/** Throws what the start of the program would: the shell that starts it has only an exit status to say so. */
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
      // Not there, or not to be run: the next folder may have it.
    }
  }
  const error = systemError(found ? "EACCES" : "ENOENT", `spawn ${program}`);
  throw toOSError(
    error.cause ?? error,
    `${found ? "Permission denied" : "No such file or directory"}: ${repr(program)}`,
  );
}

function isSignal(signal: unknown): boolean {
  return (
    signal === 0 || Object.entries(constants.signals).some(([name, number]) => signal === name || signal === number)
  );
}
