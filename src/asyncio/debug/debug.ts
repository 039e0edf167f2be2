/**
 * Debug mode: whether it is on, and what is recorded for it.
 *
 * It is switched on by `run(main, { debug: true })`, by `loop.setDebug(true)`, or by the environment variable
 * `ASYNCIO_DEBUG=1`. Outside it, nothing here costs more than the test of a variable.
 */
import { repr } from "../../repr.ts";
import { type Ready, watchSteps } from "../ready.ts";
import { stepSlow, tell } from "./channels.ts";

/** A step that takes longer is warned of. */
const SLOW_STEP = 0.1; // seconds

let slowStep = SLOW_STEP;
let debug = false;

export function isDebug(): boolean {
  return debug;
}

export function setDebug(enabled: boolean): void {
  debug = enabled;
  watchSteps(enabled ? warnOfSlowStep : null);
}

export function getSlowCallbackDuration(): number {
  return slowStep;
}

export function setSlowCallbackDuration(seconds: number): void {
  slowStep = seconds;
}

/** More frames of the package's own than lie above the program's, which are to have their number. */
const OWN_FRAMES = 20;

/** In debug mode, the stack that tells where in the program a task or callback was made. */
export function creationStack(): string | undefined {
  if (!debug) {
    return undefined;
  }
  const wanted = Error.stackTraceLimit;
  Error.stackTraceLimit = wanted + OWN_FRAMES;
  const [, , ...frames] = String(new Error("made here").stack).split("\n");
  Error.stackTraceLimit = wanted;
  const ownCode = folderOfPackage();
  return frames
    .filter((frame) => ownCode === null || !frame.includes(ownCode))
    .slice(0, wanted)
    .join("\n");
}

let folder: string | null | undefined;

/**
 * The folder of the package's own code, as stacks name it: that of what runs, or, where source maps are in use, that of
 * the sources. A bundle without source maps has none: there the package's frames cannot be told from the program's.
 */
export function folderOfPackage(): string | null {
  if (folder === undefined) {
    const [, own = ""] = String(new Error("made here").stack).split("\n");
    const end = own.search(/asyncio[\\/]debug[\\/]debug\.[jt]s:/);
    folder = end < 0 ? null : own.slice(own.indexOf("(") + 1, end);
  }
  return folder;
}

export function warn(text: string): void {
  process.emitWarning(text, "AsyncioWarning");
}

function warnOfSlowStep(item: Ready, seconds: number): void {
  if (seconds >= slowStep) {
    tell(stepSlow, { step: repr(item), seconds });
    warn(`Executing ${repr(item)} took ${seconds.toFixed(3)} seconds; nothing else could run meanwhile`);
  }
}

function enabledByEnvironment(): boolean {
  try {
    return !["", "0"].includes(process.env["ASYNCIO_DEBUG"] ?? "");
  } catch {
    // Deno without permission to read the environment.
    return false;
  }
}

if (enabledByEnvironment()) {
  setDebug(true);
}
