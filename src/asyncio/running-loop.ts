/**
 * The one loop of the process, for modules below the loop itself.
 *
 * `loop.ts` creates the loop when it is loaded, and the entry point always loads it. A bundler leaves `loop.ts` out of a
 * program that uses nothing of it, and only `getLoop()` of a Future or a Server could miss it there.
 */
import { RuntimeError } from "../errors.ts";
import type { EventLoop } from "./loop.ts";

let loop: EventLoop | undefined;

export function setRunningLoop(newLoop: EventLoop): void {
  loop = newLoop;
}

export function runningLoop(): EventLoop {
  if (loop === undefined) {
    throw new RuntimeError(
      "this bundle has no event loop: import getRunningLoop from contextvars/asyncio, and call it",
    );
  }
  return loop;
}
