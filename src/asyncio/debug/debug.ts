/**
 * Debug mode: its switch, and the data that is recorded for it.
 *
 * It is switched on by `run(main, { debug: true })`, by `loop.setDebug(true)`, or by the environment variable
 * `ASYNCIO_DEBUG=1`. When it is off, nothing here costs more than testing a variable.
 */
import { repr } from "../../repr.ts";
import { type Ready, watchSteps } from "../ready.ts";
import { environment } from "../runtime.ts";
import { stepSlow, tell } from "./channels.ts";
import { folderOfPackage, setStackLimit, stackTextOf } from "./stacks.ts";

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
  const wanted = setStackLimit(Error.stackTraceLimit + OWN_FRAMES);
  const [, , ...frames] = stackTextOf(new Error("made here")).split("\n");
  setStackLimit(wanted);
  const ownCode = folderOfPackage();
  return frames
    .filter((frame) => ownCode === null || !frame.includes(ownCode))
    .slice(0, wanted)
    .join("\n");
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

if (!["", "0"].includes(environment("ASYNCIO_DEBUG"))) {
  setDebug(true);
}
