/** The program's frames of a stack, without those of the library and the runtime. */
import { fileURLToPath } from "node:url";
import { repr } from "../../repr.ts";
import { checkOptions } from "../arguments.ts";
import { folderOfPackage } from "./debug.ts";

/**
 * A frame of a call stack: a place in the program.
 *
 * Python: `asyncio.FrameCallGraphEntry`. Differs: contains the data of a frame, since there are no frame objects.
 */
export interface FrameCallGraphEntry {
  /** The function's name, with its class if it is a method; `anonymous` if it has no name. */
  readonly functionName: string;
  /** A path, or a URL if it is not a file. */
  readonly fileName: string;
  /** From 1. */
  readonly lineNumber: number;
  /** From 1. */
  readonly columnNumber: number;
  /** Whether the function is an async function that waits; for a running function this is unknown, and `false`. */
  readonly isAsync: boolean;
}

/** Options of functions that return stacks. */
export interface StackOptions {
  /** How many frames of each stack to return, beginning with the oldest functions. @default all */
  limit?: number | null | undefined;
}

/** Options of functions that print stacks. */
export interface PrintOptions extends StackOptions {
  /** The stream to print to. */
  file?: { write(text: string): unknown } | undefined;
}

/** Options of functions that print. */
export const PRINT_OPTIONS: readonly string[] = ["limit", "file"];

/** @throws {TypeError} If `limit` is neither a whole number nor `null` for no limit. */
export function checkedLimit(
  caller: string,
  options: PrintOptions,
  known: readonly string[] = ["limit"],
): number | null {
  checkOptions(caller, options, known);
  const { limit = null, file } = options;
  if (file !== undefined && typeof file?.write !== "function") {
    throw new TypeError(`${caller}: file must be an object with write(), got ${repr(file)}`);
  }
  if (limit !== null && !Number.isInteger(limit)) {
    throw new TypeError(`${caller}: limit must be a whole number, got ${repr(limit)}`);
  }
  return limit;
}

/** More frames than a program has. */
const ALL_FRAMES = 200;

/** The text of the current stack, even if the program has changed how stacks are formatted. */
export function stackNow(): string {
  const errors = Error as { stackTraceLimit: number; prepareStackTrace: unknown };
  const { stackTraceLimit, prepareStackTrace } = errors;
  errors.stackTraceLimit = ALL_FRAMES;
  errors.prepareStackTrace = undefined;
  try {
    return String(new Error("stack").stack);
  } finally {
    errors.stackTraceLimit = stackTraceLimit;
    errors.prepareStackTrace = prepareStackTrace;
  }
}

/** Frames below this function do not belong to the task. */
const BOTTOM = /\b_runBody\b/;

/** The program's frames in the text of a stack, the innermost first. */
export function framesIn(stack: string): FrameCallGraphEntry[] {
  const lines = stack.split("\n").filter((line) => /^ *at /.test(line));
  const bottom = lines.findIndex((line) => BOTTOM.test(line) && isOwn(line));
  return (bottom < 0 ? lines : lines.slice(0, bottom))
    .filter((line) => !isOwn(line))
    .map(frameIn)
    .filter((frame) => frame !== null);
}

function isOwn(line: string): boolean {
  const folder = folderOfPackage();
  return folder !== null && line.includes(folder);
}

function frameIn(line: string): FrameCallGraphEntry | null {
  const [, call = "", inBrackets, bare] = /^ *at (?:(.*) \((.*)\)|(.*))$/.exec(line) ?? [];
  const place = inBrackets ?? (bare ?? "").replace(/^async /, "");
  const [, file, lineNumber, columnNumber] = /^(.*):(\d+):(\d+)$/.exec(place) ?? [];
  // Frames without a file belong to the runtime, as do its own modules and `Promise.all()`.
  if (file === undefined || /^(?:node|ext|native|bun)(?::|$)/.test(file)) {
    return null;
  }
  const isAsync = /^ *at async /.test(line);
  const name = call
    .replace(/^async /, "")
    .replace(/^(?:Module|Object|Function|process)\./, "")
    .replace(/ \[as .*\]$/, "")
    .replace(/^.*<anonymous>$/, "anonymous");
  return {
    functionName: name === "" ? "anonymous" : name,
    fileName: file.startsWith("file://") ? fileURLToPath(file) : file,
    lineNumber: Number(lineNumber),
    columnNumber: Number(columnNumber),
    isAsync,
  };
}

/** `File '/app/main.js', line 10, in async main()` */
export function frameText({ fileName, lineNumber, isAsync, functionName }: FrameCallGraphEntry): string {
  return `File ${repr(fileName)}, line ${lineNumber}, in ${isAsync ? "async " : ""}${functionName}()`;
}
