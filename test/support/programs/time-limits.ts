/**
 * Sets time limits one after another that are not reached, and sleeps after each. Prints the names of the limits, and
 * ends: no limit may keep the process running, and each sleep has to.
 */
import * as asyncio from "contextvars/asyncio";

const loop = asyncio.getRunningLoop();
const nothing = async (): Promise<void> => {};

const limits: Readonly<Record<string, (seconds: number) => unknown>> = {
  "timeout()": (seconds) => asyncio.timeout(seconds).with(nothing),
  "timeoutAt()": (seconds) => asyncio.timeoutAt(loop.time() + seconds).with(nothing),
  "Timeout.reschedule()": (seconds) => asyncio.timeout(3600).with((limit) => limit.reschedule(loop.time() + seconds)),
  "waitFor()": (seconds) => asyncio.waitFor(nothing, seconds),
  "wait()": (seconds) => asyncio.wait([asyncio.createTask(nothing)], { timeout: seconds }),
  "callLater()": (seconds) => loop.callLater(seconds, nothing).cancel(),
  "callAt()": (seconds) => loop.callAt(loop.time() + seconds, nothing).cancel(),
  "sleep()": async (seconds) => {
    const task = asyncio.createTask(() => asyncio.sleep(seconds));
    await asyncio.sleep(0);
    task.cancel();
    await asyncio.wait([task]);
  },
};

const names = await asyncio.run(async () => {
  const names: string[] = [];
  for (const [name, limit] of Object.entries(limits)) {
    // The sleep ends after the first, and before the second.
    for (const seconds of [0.005, 3600]) {
      for (const pause of [0, 0.02, 0.02]) {
        await limit(seconds);
        await limit(seconds);
        await asyncio.sleep(pause);
      }
      names.push(`${name} of ${seconds} s`);
    }
  }
  return names;
});
process.stdout.write(JSON.stringify(names));
