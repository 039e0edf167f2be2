/** Frames of stacks: those of the program, without the library's and the runtime's own. */
import { fileURLToPath } from "node:url";
import { repr } from "../../repr.ts";
import { checkOptions } from "../arguments.ts";
import { folderOfPackage } from "./debug.ts";

/**
 * A place in the program at which a call stack stands.
 *
 * Python: `asyncio.FrameCallGraphEntry`. Differs: there are no frame objects; it has what is known of one.
 */
export interface FrameCallGraphEntry {
  /** With its class, where it is a method; `anonymous` where it has no name. */
  readonly functionName: string;
  /** A path, or a URL that is none of a file. */
  readonly fileName: string;
  /** From 1. */
  readonly lineNumber: number;
  /** From 1. */
  readonly columnNumber: number;
  /** Whether it is a function that waits; a function that runs is not known to be async. */
  readonly isAsync: boolean;
}

/** Options of what gives stacks. */
export interface StackOptions {
  /** How many frames of each stack to give, those of the oldest functions first. @default all */
  limit?: number | null | undefined;
}

/** Options of what prints stacks. */
export interface PrintOptions extends StackOptions {
  /** Where to print. */
  file?: { write(text: string): unknown } | undefined;
}

/** Options of what prints. */
export const PRINT_OPTIONS: readonly string[] = ["limit", "file"];

/** @throws {TypeError} If it is not a whole number, or `null` for no limit. */
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

/** The text of the stack as it is now, whatever the program has made of the form of stacks. */
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

/** Of the frames below one of these there are none that belong to the task. */
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
  // What has no file is the runtime's, as are its own modules, and `Promise.all()`.
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
