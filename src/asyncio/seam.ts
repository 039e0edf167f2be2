/**
 * The internals of asyncio that `contextvars/testing` needs: the clock, and the parts of connections and servers.
 *
 * Programs must not use them.
 */
export {
  checkBooleans,
  checkFiniteSeconds,
  checkFunction,
  checkOptions,
  checkPositiveSeconds,
  checkSecondsFromZero,
  checkWholeNumber,
  notConstructible,
} from "./arguments.ts";
export { fromCallback, quiet } from "./async-stacks.ts";
export { ReportedUnlessAwaited } from "./awaited.ts";
export { type Clock, realClock, replaceClock } from "./clock.ts";
export { streamsOver } from "./connections.ts";
export { tasksReport } from "./debug/report.ts";
export { TimerHandle } from "./events.ts";
export { collectOpen, type Openable } from "./open.ts";
export { isIdle } from "./ready.ts";
export { isRunnerActive } from "./runners.ts";
export { PORTLESS_OPTIONS, type ServerOptions, settingsOf } from "./servers/options.ts";
export { streamProtocols } from "./servers/start.ts";
export { handledSignals } from "./signals.ts";
export { READER_OPTIONS, readerWith } from "./streams/reader-options.ts";
export { alarmed, dropTimers, nextMoment } from "./timers.ts";
export { Listener } from "./transports/listen.ts";
export { systemError } from "./transports/os-errors.ts";
export { HIGH_WATER } from "./transports/water-marks.ts";
export { collectOutsideFutures, type Wait, WaitOn } from "./waits.ts";
