/**
 * Debug mode: its switch, and the data that is recorded for it.
 *
 * It is switched on by `run(main, { debug: true })`, by `loop.setDebug(true)`, or by the environment variable
 * `ASYNCIO_DEBUG=1`. When it is off, nothing here costs more than testing a variable.
 */
import { repr } from "../../repr.ts";
import { type Ready, watchSteps } from "../ready.ts";
import { stepSlow, tell } from "./channels.ts";

/** A step that takes longer causes a warning. */
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

/** An upper bound for the package's own frames above the program's; a stack is captured with that many extra frames. */
const OWN_FRAMES = 20;

/** In debug mode, the stack where a task or callback is created in the program. */
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
 * The folder of the package's own code as it appears in stacks: that of the running files, or, with source maps, that
 * of the sources. A bundle without source maps has none: its stacks do not distinguish the package's frames from the
 * program's.
 */
export function folderOfPackage(): string | null {
  if (folder === undefined) {
    const [, own = ""] = String(new Error("made here").stack).split("\n");
    const end = own.search(/asyncio[\\/]debug[\\/]debug\.[jt]s:|packed[\\/]shared-\w+\.js:/);
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
    // Deno has no permission to read the environment.
    return false;
  }
}

if (enabledByEnvironment()) {
  setDebug(true);
}
