/**
 * The text of stacks, whatever the program has done to `Error`: it may be frozen, format stacks in another way, or
 * record none.
 */

/** More frames than a program has. */
const ALL_FRAMES = 200;

/** Sets how many frames new stacks have, and returns the previous number. A frozen `Error` keeps its own. */
export function setStackLimit(limit: number): number {
  const { stackTraceLimit } = Error;
  Reflect.set(Error, "stackTraceLimit", limit);
  return stackTraceLimit;
}

/** The text of the current stack, as the runtime formats it. */
export function stackNow(): string {
  const { prepareStackTrace } = Error as { prepareStackTrace?: unknown };
  const limit = setStackLimit(ALL_FRAMES);
  Reflect.set(Error, "prepareStackTrace", undefined);
  const text = stackTextOf(new Error("stack"));
  Reflect.set(Error, "prepareStackTrace", prepareStackTrace);
  setStackLimit(limit);
  return text;
}

/** The text of the stack of a thrown value; empty if it has none, or if reading it throws. */
export function stackTextOf(error: unknown): string {
  try {
    const { stack } = error as { stack?: unknown };
    return typeof stack === "string" ? stack : "";
  } catch {
    return "";
  }
}

let folder: string | null | undefined;

/**
 * The folder of the package's own code as it appears in stacks: that of the running files, or, with source maps, that
 * of the sources. A bundle without source maps has none: its stacks do not distinguish the package's frames from the
 * program's.
 */
export function folderOfPackage(): string | null {
  if (folder === undefined) {
    const [, own = ""] = stackNow().split("\n");
    const end = own.search(/asyncio[\\/]debug[\\/]stacks\.[jt]s:|packed[\\/]shared-\w+\.js:/);
    folder = end < 0 ? null : own.slice(own.indexOf("(") + 1, end);
  }
  return folder;
}
