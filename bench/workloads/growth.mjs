/** How the time of each operation grows that keeps a collection: the exponent, which should be 1. */
import { selfMeasuring } from "../lib/contenders.mjs";

/** @typedef {import("../run.mjs").Workload} Workload */

/** What bench/micro/growth.mjs and growth.py can do. */
const IN_BOTH = [
  "Lock, contended",
  "Lock, waiters cancelled",
  "Lock, taken beside cancelled waiters",
  "Event, set",
  "Event, set and cleared n times",
  "Event, waiters cancelled",
  "Condition, notify() n times",
  "Condition, notifyAll()",
  "Condition, waiters cancelled",
  "Semaphore, contended",
  "Semaphore(0), released n times",
  "Semaphore, waiters cancelled",
  "Barrier(n)",
  "Queue, waiting getters",
  "Queue, waiting putters",
  "Queue, getters cancelled",
  "Queue, n items",
  "LifoQueue, n items",
  "PriorityQueue, n items",
  "gather",
  "gather, of one future",
  "gather, cancelled",
  "wait",
  "wait, n times for one future, cancelled",
  "asCompleted",
  "shield, of one future",
  "shield, of one future, cancelled",
  "Future, n waiting tasks",
  "Future, n callbacks",
  "Future, n callbacks taken back",
  "Future, n errors",
  "TaskGroup",
  "TaskGroup, all fail",
  "createTask, and allTasks()",
  "sleep, n at once",
  "sleep, cancelled",
  "timeout",
  "waitFor",
  "callSoon",
  "callLater, cancelled",
  "StreamReader, a line of n chunks",
  "StreamWriter, n writes without drain()",
];

/** What asyncio has not got in every version. */
const HERE_ONLY = [
  "Queue, shut down",
  "TaskGroup, cancelled",
  "task, n waits at once, cancelled",
  "task, n waits at once",
  "StreamReader, two separators, n chunks",
];

/** All operations, as the cases are called. */
export const GROWING = [...IN_BOTH, ...HERE_ONLY];

/** One space for all that is made in a sample, one thread for all that works: then only the operation is measured. */
const FLAGS = ["--expose-gc", "--single-threaded", "--min-semi-space-size=128", "--max-semi-space-size=128"];

/** How many, and how many samples: in asyncio some are quadratic, and the quick run has little time. */
const FEWER = ["1000", "3"];

/** @type {Workload} */
export function growth({ nodes, main, python }, isQuick) {
  return GROWING.map((name) => ({
    name,
    base: "linear",
    costUnit: "exponent",
    rounds: 1,
    contenders: [
      { name: "linear", open: async () => ({ sample: async () => ({ cost: 1 }), close: async () => {} }) },
      ...(isQuick ? [main] : nodes).map((node) =>
        selfMeasuring(
          `contextvars@${node.name}`,
          {
            program: node.program,
            args: [...FLAGS, "bench/micro/growth.mjs", name, ...(isQuick ? FEWER : [])],
          },
          (result) => result,
        ),
      ),
      ...(python === null || isQuick || !IN_BOTH.includes(name)
        ? []
        : [
            selfMeasuring(
              "asyncio",
              { program: python.program, args: ["bench/micro/growth.py", name, ...FEWER] },
              (result) => result,
            ),
          ]),
    ],
  }));
}
