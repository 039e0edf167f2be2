/** Fakes of the global clock and timers: the loop never sees them, while they are there and after they are gone. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";

const FAKED = ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "setInterval", "clearInterval"] as const;

/** Everything that waits by a timer or a turn of the loop. Each ends by itself in a few milliseconds. */
const users: Readonly<Record<string, () => PromiseLike<unknown>>> = {
  "sleep(0)": () => asyncio.sleep(0),
  "sleep()": () => asyncio.sleep(0.002),
  "callSoon()": () => new Promise<void>((resolve) => void asyncio.getRunningLoop().callSoon(resolve)),
  "callLater()": () => new Promise<void>((resolve) => void asyncio.getRunningLoop().callLater(0.002, resolve)),
  "callAt()": () => {
    const loop = asyncio.getRunningLoop();
    return new Promise<void>((resolve) => void loop.callAt(loop.time() + 0.002, resolve));
  },
  "waitFor()": () => assert.rejects(asyncio.waitFor(new asyncio.Future(), 0.002), asyncio.TimeoutError),
  "wait()": () => asyncio.wait([new asyncio.Future()], { timeout: 0.002 }),
  "timeout()": () =>
    assert.rejects(
      async () => await asyncio.createTask(() => asyncio.timeout(0.002).with(async () => await new asyncio.Future())),
      asyncio.TimeoutError,
    ),
  "createTask()": () => asyncio.createTask(() => asyncio.sleep(0)),
};

/** Calls the function while the globals are functions that never call back, and stand still. */
async function underFakes<T>(f: () => PromiseLike<T> | T): Promise<T> {
  const globals = globalThis as unknown as Record<string, unknown>;
  const before = FAKED.map((name) => [name, globals[name]] as const);
  const { now } = performance;
  for (const name of FAKED) {
    globals[name] = () => 1;
  }
  performance.now = () => 0;
  try {
    return await f();
  } finally {
    performance.now = now;
    for (const [name, original] of before) {
      globals[name] = original;
    }
  }
}

describe("Fake timers of others", () => {
  for (const [name, use] of Object.entries(users)) {
    it(`${name} ends while they are there`, async () => {
      await underFakes(use);
    });

    it(`${name} ends when they are taken away while it waits, and the loop goes on`, async () => {
      const pending = await underFakes(() => [use()]);
      await asyncio.gather(pending);
      await asyncio.sleep(0.001);
    });
  }
});
