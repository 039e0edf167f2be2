/** What one operation costs by itself: on variables and Contexts, an await, a task, an import. */
import { obtainFrameworks } from "../../scripts/obtain.mjs";
import { selfMeasuring } from "../lib/contenders.mjs";
import { bundledSize, PACKAGE_SIZES, packedCopy } from "../lib/size.mjs";

/**
 * @typedef {import("../lib/peers.mjs").Peers} Peers
 * @typedef {import("../lib/rounds.mjs").Contender} Contender
 * @typedef {import("../run.mjs").Workload} Workload
 */

const SIZES = [1, 10, 100, 1000, 10_000]; // variables
const OPERATIONS = ["get", "set", "set+reset", "copy", "run"];
/** What Node itself takes for the same. @type {Record<string, string>} */
const BASES = { get: "getStore", run: "als.run" };
const NANOSECONDS = { costUnit: "ns" };
const ROUNDS = 3;

/** @type {Workload} */
export function context(peers, isQuick) {
  const memory = [100, 1000].map((size) => ({
    name: `memory, ${size} variables`,
    base: "contextvars",
    rounds: 1,
    costUnit: "bytes",
    contenders: onNodes(peers, "contextvars", "context", ["memory", String(size)]),
  }));
  const operations = (isQuick ? ["get", "run"] : OPERATIONS).flatMap((operation) => {
    const base = BASES[operation];
    // A Context of any size is copied or entered alike; a second size is there to show it.
    const sizes = isQuick ? [1] : operation === "copy" || operation === "run" ? [1, 1000] : SIZES;
    return sizes.map((size) => ({
      name: `${operation}, ${size} ${size === 1 ? "variable" : "variables"}`,
      base: base ?? "cpython",
      rounds: ROUNDS,
      ...NANOSECONDS,
      contenders: [
        ...(base === undefined ? [] : onNodes(peers, base, "context", [base])),
        ...onNodes(peers, "contextvars", "context", [operation, String(size)]),
        ...(isQuick ? [] : inPython(peers, "cpython", "context", [operation, String(size)])),
      ],
    }));
  });
  return isQuick ? operations : [...operations, ...memory];
}

/** @type {Workload} */
export function awaits(peers, isQuick) {
  return (isQuick ? ["value"] : ["value", "call", "deep"]).map((kind) => ({
    name: { value: "await null", call: "await asyncFunction()", deep: "await, 10 deep" }[kind] ?? kind,
    base: "bare",
    rounds: ROUNDS,
    ...NANOSECONDS,
    contenders: ["bare", "imported", "entered", "left"].flatMap((state) =>
      onNodes(peers, state, "awaits", [state, kind]),
    ),
  }));
}

/** @type {Workload} */
export function tasks(peers, isQuick) {
  const names = {
    create: "create and await",
    gather: "gather of 100, each",
    none: "async_tree none",
    memoization: "async_tree memoization",
  };
  if (isQuick) {
    return [];
  }
  return [
    ...Object.entries(names).map(([kind, name]) => ({
      name,
      base: "asyncio",
      rounds: ROUNDS,
      ...NANOSECONDS,
      contenders: [
        ...onNodes(peers, "contextvars", "tasks", [kind]),
        ...(kind === "create" ? onNodes(peers, "eager", "tasks", [kind, "eager"]) : []),
        ...onNodes(peers, "bare", "tasks", [kind, "bare"]),
        ...inPython(peers, "asyncio", "tasks", [kind]),
        ...(hasEagerTasks(peers) ? inPython(peers, "asyncio eager", "tasks", [kind, "eager"]) : []),
        ...(peers.python?.uvloop ? inPython(peers, "uvloop", "tasks", [kind, "uvloop"]) : []),
      ],
    })),
    {
      name: "100,000 sleeping tasks",
      base: "asyncio",
      rounds: ROUNDS,
      costUnit: "ns cpu each",
      contenders: [
        ...onNodes(peers, "contextvars", "tasks", ["sleeping"]),
        ...inPython(peers, "asyncio", "tasks", ["sleeping"]),
      ],
    },
    {
      name: "memory of a sleeping task",
      base: "contextvars",
      rounds: 1,
      costUnit: "KB",
      contenders: onNodes(peers, "contextvars", "tasks", ["memory"]),
    },
    ...["none", "1000"].map((pending) => ({
      name: `timeout(30), ${pending} pending`,
      base: "contextvars",
      rounds: ROUNDS,
      costUnit: "µs",
      contenders: onNodes(peers, "contextvars", "tasks", ["timeout", pending === "none" ? "0" : pending]),
    })),
  ];
}

/** @type {Workload} */
export function opentelemetry(peers, isQuick) {
  obtainFrameworks();
  const operations = ["active", "with", "with, active", "attach", "startSpan", "startActiveSpan"];
  return (isQuick ? ["with, active"] : operations).map((operation) => ({
    name: operation,
    base: "standard",
    rounds: ROUNDS,
    ...NANOSECONDS,
    contenders: ["standard", "contextvars"].flatMap((manager) =>
      onNodes(peers, manager, "opentelemetry", [manager, operation]),
    ),
  }));
}

/** @type {Workload} */
export function load(peers, isQuick) {
  if (isQuick) {
    return [];
  }
  const packed = packedCopy();
  const time = {
    name: "import",
    base: "node:net",
    costUnit: "ms",
    contenders: [
      ...onNodes(peers, "node:net", "load", ["node:net"]),
      ...onNodes(peers, "contextvars", "load", [`${packed}/contextvars.js`]),
      ...onNodes(peers, "contextvars/asyncio", "load", [`${packed}/asyncio.js`]),
    ],
  };
  const size = {
    name: "size of the package",
    base: "contextvars",
    costUnit: "KiB",
    rounds: 1,
    contenders: Object.entries(PACKAGE_SIZES).map(([name, measureSize]) => ({
      name,
      open: async () => ({ sample: async () => ({ cost: measureSize() / 1024 }), close: async () => {} }),
    })),
  };
  const bundled = {
    name: "size in a bundle",
    base: "sleep and createTask",
    costUnit: "KiB, brotli",
    rounds: 1,
    contenders: [
      {
        name: "sleep and createTask",
        open: async () => ({
          sample: async () => ({ cost: (await bundledSize(["sleep", "createTask"])) / 1024 }),
          close: async () => {},
        }),
      },
    ],
  };
  return [time, size, bundled];
}

/**
 * @param {Peers} peers
 * @param {string} label
 * @param {string} file
 * @param {string[]} args
 * @returns {Contender[]}
 */
function onNodes({ nodes }, label, file, args) {
  return nodes.map(({ name, program }) =>
    selfMeasuring(
      `${label}@${name}`,
      { program, args: ["--expose-gc", `bench/micro/${file}.mjs`, ...args] },
      (result) => result,
    ),
  );
}

/** @type {typeof onNodes} */
function inPython({ python }, label, file, args) {
  return python === null
    ? []
    : [
        selfMeasuring(
          label,
          { program: python.program, args: [`bench/micro/${file}.py`, ...args] },
          (result) => result,
        ),
      ];
}

/** @param {Peers} peers */
function hasEagerTasks({ python }) {
  const [major = 0, minor = 0] = (python?.version ?? "").split(".").map(Number);
  return major > 3 || (major === 3 && minor >= 12);
}
