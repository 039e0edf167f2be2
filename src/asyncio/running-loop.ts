/** The one loop of the process, for modules below the loop itself. */
import type { EventLoop } from "./loop.ts";

let loop: EventLoop;

export function setRunningLoop(newLoop: EventLoop): void {
  loop = newLoop;
}

/**
 * The event loop.
 *
 * Python: `asyncio.get_running_loop()`. Differs: never fails, the loop of Node always runs.
 */
export function getRunningLoop(): EventLoop {
  return loop;
}
