/**
 * Deno's timers, out of reach of the `mock.timers` of its `node:test`.
 *
 * While those are enabled, even a function that was taken before gives a fake. Its class tells: then it is taken back, and
 * the class of the timers that are real, which Deno has from Node's sources, makes one.
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

/** The timers of the runtime as they are now, whatever comes. */
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
    // The function would look among the fakes.
    clearTimeout: (made) => {
      if (typeof made === "object") {
        made.close();
      }
    },
    setImmediate: realImmediate as Timers["setImmediate"],
  };
}
