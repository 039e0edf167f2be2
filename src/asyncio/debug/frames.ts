/** The program's frames of a stack, without those of the library and the runtime. */
import { fileURLToPath } from "node:url";
import { repr } from "../../repr.ts";
import { checkOptions } from "../arguments.ts";
import { folderOfPackage } from "./stacks.ts";

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
  const isAsync = /^ *at async /.test(line);
  const [call, place] = callAndPlace(line.replace(/^ *at (?:async )?/, ""));
  const [, file, lineNumber, columnNumber] = /^(.*):(\d+):(\d+)$/.exec(place) ?? [];
  // Frames without a file belong to the runtime, as do its own modules and `Promise.all()`.
  if (file === undefined || /^(?:node|ext|native|bun)(?::|$)/.test(file)) {
    return null;
  }
  const name = call
    .replace(/^(?:Module|Object|Function|process)\./, "")
    .replace(/ \[as .*\]$/, "")
    .replace(/^.*<anonymous>$/, "anonymous");
  return {
    functionName: name === "" ? "anonymous" : name,
    fileName: pathOf(file),
    lineNumber: Number(lineNumber),
    columnNumber: Number(columnNumber),
    isAsync,
  };
}

/** The function and the place of `call (place)`, or of a place alone. Code of `eval()` is where `eval()` was called. */
function callAndPlace(frame: string): [string, string] {
  const opening = openingBracket(frame);
  const place = frame.slice(opening + 1).replace(/\)$/, "");
  return [
    frame.slice(0, Math.max(opening - 1, 0)),
    place.startsWith("eval at ") ? place.replace(/^(?:eval at .*? \()+/, "").replace(/\), .*$/, "") : place,
  ];
}

/** Where the bracket begins that ends the text, or -1: paths, such as `C:\Program Files (x86)`, have brackets too. */
function openingBracket(text: string): number {
  let depth = 0;
  for (let i = text.length - 1; i >= 0; i--) {
    depth += text[i] === ")" ? 1 : text[i] === "(" ? -1 : 0;
    if (depth === 0) {
      return text[i] === "(" ? i : -1;
    }
  }
  return -1;
}

function pathOf(file: string): string {
  try {
    return file.startsWith("file://") ? fileURLToPath(file) : file;
  } catch {
    // Source maps may name a file of another system.
    return file;
  }
}

/** `File '/app/main.js', line 10, in async main()` */
export function frameText({ fileName, lineNumber, isAsync, functionName }: FrameCallGraphEntry): string {
  return `File ${repr(fileName)}, line ${lineNumber}, in ${isAsync ? "async " : ""}${functionName}()`;
}
