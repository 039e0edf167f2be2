/** Arguments of `createSubprocessExec()` and `createSubprocessShell()`: which are refused, and what Node's `spawn()` gets. */
import type { SpawnOptions, StdioOptions } from "node:child_process";
import { ValueError } from "../errors.ts";
import { repr } from "../repr.ts";
import { checkBooleans, checkOptions, checkWholeNumber } from "./arguments.ts";

/** A new pipe, whose other end the Process has. Python: `asyncio.subprocess.PIPE`. */
export const PIPE = -1;
/** For `stderr`: the same as `stdout`. Python: `asyncio.subprocess.STDOUT`. */
export const STDOUT = -2;
/** Nothing: reads are at EOF, what is written is dropped. Python: `asyncio.subprocess.DEVNULL`. */
export const DEVNULL = -3;

/**
 * What a child process has for its input or output: `PIPE`, `DEVNULL`, an open file by its descriptor or as an object that
 * has one, such as a `FileHandle`; `null` for what this process has.
 */
export type Redirection = number | { readonly fd: number } | null;

/** Options of {@linkcode createSubprocessExec} and {@linkcode createSubprocessShell}. */
export interface SubprocessOptions {
  /** What the child reads from. @default what this process has */
  stdin?: Redirection | undefined;
  /** What the child writes to. @default what this process has */
  stdout?: Redirection | undefined;
  /** What the child writes errors to; `STDOUT` for the same as `stdout`. @default what this process has */
  stderr?: Redirection | undefined;
  /** The limit of `stdout` and `stderr`, in bytes; see StreamReader. @default 65536 */
  limit?: number | undefined;
  /** The folder that the child starts in. @default that of this process */
  cwd?: string | undefined;
  /** The environment of the child. @default that of this process */
  env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Whether the child leads a session of its own, which a Ctrl-C does not reach. @default false */
  startNewSession?: boolean | undefined;
  /** The user to run as, by number. @default that of this process */
  user?: number | undefined;
  /** The group to run as, by number. @default that of this process */
  group?: number | undefined;
}

const KNOWN = ["stdin", "stdout", "stderr", "limit", "cwd", "env", "startNewSession", "user", "group"];

/** What `spawn()` gets, but for the program. */
export interface Spawning {
  readonly options: SpawnOptions;
  /** Whether both outputs go into one pipe, which `spawn()` cannot make. */
  readonly mergesOutputs: boolean;
}

/**
 * @throws {TypeError} If an option does not exist, or is of the wrong type.
 * @throws {ValueError} If a redirection is none.
 */
export function checkedSpawning(caller: string, options: SubprocessOptions): Spawning {
  checkOptions(caller, options, KNOWN);
  checkBooleans(options, ["startNewSession"]);
  for (const name of ["user", "group"] as const) {
    if (options[name] !== undefined) {
      checkWholeNumber(name, options[name]);
    }
  }
  const { stdin = null, stdout = null, stderr = null, cwd, env = process.env, startNewSession = false } = options;
  const mergesOutputs = stderr === STDOUT && stdout === PIPE;
  const stdio: StdioOptions = [
    toStdio("stdin", stdin, 0),
    toStdio("stdout", stdout, 1),
    // One pipe for both: the shell that starts the program joins them.
    mergesOutputs ? "ignore" : stderr === STDOUT ? toStdio("stdout", stdout, 1) : toStdio("stderr", stderr, 2),
  ];
  if (typeof env !== "object" || env === null) {
    throw new TypeError(`env must be an object, got ${repr(env)}`);
  }
  if (cwd !== undefined) {
    checkText(`${caller}: cwd`, cwd);
  }
  return {
    options: {
      stdio,
      cwd,
      env: env as NodeJS.ProcessEnv,
      detached: startNewSession,
      ...(options.user === undefined ? {} : { uid: options.user }),
      ...(options.group === undefined ? {} : { gid: options.group }),
    },
    mergesOutputs,
  };
}

/** Refuses what cannot be part of a command. */
export function checkText(name: string, text: unknown): void {
  if (typeof text !== "string") {
    throw new TypeError(`${name} must be a string, got ${repr(text)}`);
  }
  if (text.includes("\0")) {
    throw new ValueError(`${name}: embedded null byte in ${repr(text)}`);
  }
}

/** Refuses arguments that are no array of strings. */
export function checkArguments(given: unknown): void {
  if (!Array.isArray(given)) {
    throw new TypeError(`createSubprocessExec(): the arguments of the program must be an array, got ${repr(given)}`);
  }
  for (const each of given) {
    checkText("createSubprocessExec(): an argument of the program", each);
  }
}

function toStdio(name: string, given: Redirection, inherited: number): "pipe" | "ignore" | number {
  if (given === PIPE) {
    return "pipe";
  }
  if (given === DEVNULL) {
    return "ignore";
  }
  const fd = typeof given === "object" && given !== null ? given.fd : (given ?? inherited);
  if (given === STDOUT || !Number.isInteger(fd) || fd < 0) {
    throw new ValueError(
      `${name} must be PIPE, DEVNULL, a file descriptor or an object that has one, got ` +
        `${given === STDOUT ? "STDOUT, which is for stderr only" : repr(given)}`,
    );
  }
  return fd;
}
