/**
 * Deno's timers, out of reach of the `mock.timers` of its `node:test`.
 *
 * While mocks are enabled, even a function that was captured earlier creates a fake timer, which is recognized by its
 * class. It is then cleared, and a real timer is created by the class of real timers, which Deno has from Node's
 * sources.
 */

type TimeoutClass = new (
  callback: (...args: unknown[]) => void,
  milliseconds: number | undefined,
  args: unknown[],
  isInterval: boolean,
  isReferenced: boolean,
) => NodeJS.Timeout;

type ImmediateClass = new (callback: (...args: unknown[]) => void, ...args: unknown[]) => NodeJS.Immediate;

interface Timers {
  readonly setTimeout: typeof globalThis.setTimeout;
  readonly clearTimeout: typeof globalThis.clearTimeout;
  readonly setImmediate: typeof globalThis.setImmediate;
}

/** Returns the runtime's timer functions; they create real timers even while mocks are enabled. */
export function timersBeneathMocks(): Timers {
  const { setTimeout, clearTimeout, setImmediate, clearImmediate } = globalThis;
  const timer = setTimeout(() => {}, 0);
  const immediate = setImmediate(() => {});
  const Timeout = timer.constructor as TimeoutClass;
  const Immediate = immediate.constructor as ImmediateClass;
  clearTimeout(timer);
  clearImmediate(immediate);

  const realTimeout = (
    callback: (...args: unknown[]) => void,
    milliseconds?: number,
    ...args: unknown[]
  ): NodeJS.Timeout => {
    const made = setTimeout(callback, milliseconds, ...args);
    if (made instanceof Timeout) {
      return made;
    }
    clearTimeout(made);
    return new Timeout(callback, milliseconds, args, false, true);
  };
  const realImmediate = (callback: (...args: unknown[]) => void, ...args: unknown[]): NodeJS.Immediate => {
    const made = setImmediate(callback, ...args);
    if (made instanceof Immediate) {
      return made;
    }
    clearImmediate(made);
    return new Immediate(callback, ...args);
  };
  return {
    setTimeout: realTimeout as Timers["setTimeout"],
    // The mocked clearTimeout would search only the fakes.
    clearTimeout: (made) => {
      if (typeof made === "object") {
        made.close();
      }
    },
    setImmediate: realImmediate as Timers["setImmediate"],
  };
}
