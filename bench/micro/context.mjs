/**
 * One operation on a Context of so many variables: `context.mjs OPERATION SIZE`; `memory` is how many bytes a copy holds in
 * which one of them was set. Beside them, what Node itself takes.
 *
 * One operation a process: what one loop has taught the compiler makes the next one slower.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { Context, ContextVar, copyContext } from "contextvars";
import { nanoseconds, report } from "./timing.mjs";

const [, , operation = "", size = "1"] = process.argv;
const variables = Array.from({ length: Number(size) }, (_, i) => new ContextVar(`variable ${i}`, { default: 0 }));
const variable = /** @type {ContextVar<number>} */ (variables[variables.length >> 1]);
const storage = new AsyncLocalStorage();
const context = new Context();
const inner = new Context();
/** What the loops find out goes here, so that none of it is superfluous. @type {unknown} */
let sink;
const work = () => 1;

/** @type {Record<string, (count: number) => void>} */
const LOOPS = {
  get: (count) => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      sum += variable.get();
    }
    sink = sum;
  },
  set: (count) => {
    for (let i = 0; i < count; i++) {
      sink = variable.set(i);
    }
  },
  "set+reset": (count) => {
    for (let i = 0; i < count; i++) {
      variable.reset(variable.set(i));
    }
  },
  copy: (count) => {
    for (let i = 0; i < count; i++) {
      sink = copyContext();
    }
  },
  run: (count) => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      sum += inner.run(work);
    }
    sink = sum;
  },
  getStore: (count) => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      sum += /** @type {{ value: number }} */ (storage.getStore()).value;
    }
    sink = sum;
  },
  "als.run": (count) => {
    const store = { value: 2 };
    let sum = 0;
    for (let i = 0; i < count; i++) {
      sum += storage.run(store, work);
    }
    sink = sum;
  },
};

const COPIES = 10_000;

/** Bytes that a copy holds in which one variable was set. */
function bytesOfCopy() {
  const copies = Array.from({ length: COPIES }, () => copyContext());
  const heap = () => {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  copies.fill(context);
  const before = heap();
  for (let i = 0; i < COPIES; i++) {
    copies[i] = copyContext();
    copies[i]?.run(() => variables[i % variables.length]?.set(2));
  }
  const held = heap() - before;
  sink = copies;
  return held / COPIES;
}

const loop = LOOPS[operation];
if (loop === undefined && operation !== "memory") {
  throw new Error(`no operation ${operation}`);
}
if (loop !== undefined && (operation === "getStore" || operation === "als.run")) {
  storage.run({ value: 1 }, () => report(nanoseconds(loop)));
} else {
  context.run(() => {
    for (const each of variables) {
      each.set(1);
    }
    report(loop === undefined ? bytesOfCopy() : nanoseconds(loop));
  });
}

export { sink };
