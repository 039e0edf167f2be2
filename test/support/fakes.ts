/** The fakes that test runners put in the place of the clock and timers, one of each kind. */
import { mock } from "node:test";
import FakeTimers from "@sinonjs/fake-timers";

export interface Fake {
  readonly title: string;
  /** Puts the fakes in; returns what takes them away. */
  readonly install: () => () => void;
  /** Fakes `process.nextTick` or `queueMicrotask`, without which the runtime's own streams stand still. */
  readonly stopsStreams: boolean;
  /** Fakes `setImmediate`. */
  readonly stopsImmediates: boolean;
}

type Globals = Record<string, unknown>;

const TIMERS = ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "setInterval", "clearInterval"];

/** Functions that never call back, and a clock that stands still. */
function byHand(): Fake {
  const install = (): (() => void) => {
    const globals = globalThis as unknown as Globals;
    const before = TIMERS.map((name) => [name, globals[name]] as const);
    const { now } = performance;
    for (const name of TIMERS) {
      globals[name] = () => 1;
    }
    performance.now = () => 0;
    return () => {
      performance.now = now;
      for (const [name, original] of before) {
        globals[name] = original;
      }
    };
  };
  return { title: "functions that do nothing", install, stopsStreams: false, stopsImmediates: true };
}

type NodeApi = "setTimeout" | "setInterval" | "setImmediate" | "Date";
const NODE_APIS: readonly NodeApi[] = ["setTimeout", "setInterval", "setImmediate", "Date"];

function ofNode(apis: readonly NodeApi[]): Fake {
  const install = (): (() => void) => {
    mock.timers.enable({ apis: [...apis] });
    return () => mock.timers.reset();
  };
  return {
    title: `mock.timers of node:test for ${apis.join(", ")}`,
    install,
    stopsStreams: false,
    stopsImmediates: apis.includes("setImmediate"),
  };
}

function ofSinon(toFake: readonly FakeTimers.FakeMethod[]): Fake {
  const install = (): (() => void) => {
    const clock = FakeTimers.install({ toFake: [...toFake] });
    return () => clock.uninstall();
  };
  const stopsStreams = toFake.includes("nextTick") || toFake.includes("queueMicrotask");
  return {
    title: `@sinonjs/fake-timers for ${toFake.join(", ")}`,
    install,
    stopsStreams,
    stopsImmediates: toFake.includes("setImmediate"),
  };
}

/** All that it can fake on every runtime here. */
const SINON_METHODS: readonly FakeTimers.FakeMethod[] = [
  "setTimeout",
  "clearTimeout",
  "setImmediate",
  "clearImmediate",
  "setInterval",
  "clearInterval",
  "Date",
  "hrtime",
  "performance",
  "nextTick",
  "queueMicrotask",
];
const sinonWithStreams = SINON_METHODS.filter((method) => method !== "nextTick" && method !== "queueMicrotask");

export const fakes: readonly Fake[] = [
  byHand(),
  ofNode(NODE_APIS),
  ...NODE_APIS.map((api) => ofNode([api])),
  ofSinon(SINON_METHODS),
  ofSinon(sinonWithStreams),
  ...SINON_METHODS.map((method) => ofSinon([method])),
];

/** Calls the function while the fakes are there. */
export async function under<T>({ install }: Fake, f: () => PromiseLike<T> | T): Promise<T> {
  const uninstall = install();
  try {
    return await f();
  } finally {
    uninstall();
  }
}
