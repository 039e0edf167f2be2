/**
 * Arguments of `createSubprocessExec()` and `createSubprocessShell()`: their checks, and the arguments of Node's
 * `spawn()`.
 */
import type { SpawnOptions, StdioOptions } from "node:child_process";
import { ValueError } from "../errors.ts";
import { repr } from "../repr.ts";
import { checkBooleans, checkOptions, checkWholeNumber } from "./arguments.ts";

/** A new pipe, whose other end belongs to the Process. Python: `asyncio.subprocess.PIPE`. */
export const PIPE = -1;
/** For `stderr`: the same as `stdout`. Python: `asyncio.subprocess.STDOUT`. */
export const STDOUT = -2;
/** No input or output: reads return EOF, and written bytes are dropped. Python: `asyncio.subprocess.DEVNULL`. */
export const DEVNULL = -3;

/**
 * A child's input or output: `PIPE`, `DEVNULL`, the descriptor of an open file, an object that has one, such as a
 * `FileHandle`, or `null` for this process's own.
 */
export type Redirection = number | { readonly fd: number } | null;

/** Options of {@linkcode createSubprocessExec} and {@linkcode createSubprocessShell}. */
export interface SubprocessOptions {
  /** The child's input. @default this process's own */
  stdin?: Redirection | undefined;
  /** The child's output. @default this process's own */
  stdout?: Redirection | undefined;
  /** The child's error output; `STDOUT` for the same as `stdout`. @default this process's own */
  stderr?: Redirection | undefined;
  /** The limit of `stdout` and `stderr`, in bytes; see StreamReader. @default 65536 */
  limit?: number | undefined;
  /** The folder that the child starts in. @default this process's current folder */
  cwd?: string | undefined;
  /** The child's environment. @default this process's own */
  env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Whether the child leads its own session, which a Ctrl-C does not reach. @default false */
  startNewSession?: boolean | undefined;
  /** The user to run as, by number. @default this process's own */
  user?: number | undefined;
  /** The group to run as, by number. @default this process's own */
  group?: number | undefined;
}

const KNOWN = ["stdin", "stdout", "stderr", "limit", "cwd", "env", "startNewSession", "user", "group"];

/** The arguments of `spawn()`, except for the program. */
export interface Spawning {
  readonly options: SpawnOptions;
  /** Whether both outputs go into one pipe, which `spawn()` cannot arrange. */
  readonly mergesOutputs: boolean;
}

/**
 * @throws {TypeError} If an option does not exist, or is of the wrong type.
 * @throws {ValueError} If a redirection is not valid.
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

/** Throws if the text cannot be part of a command. */
export function checkText(name: string, text: unknown): void {
  if (typeof text !== "string") {
    throw new TypeError(`${name} must be a string, got ${repr(text)}`);
  }
  if (text.includes("\0")) {
    throw new ValueError(`${name}: embedded null byte in ${repr(text)}`);
  }
}

/** Throws unless the arguments are an array of strings. */
export function checkArguments(given: unknown): void {
  if (!Array.isArray(given)) {
    throw new TypeError(
      `createSubprocessExec(): the arguments of the program must be an array, got ${repr(given)}; ` +
        "write createSubprocessExec(program, [a, b], options)",
    );
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
