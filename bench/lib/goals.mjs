/** What the library wants to reach, each goal as a ratio of two contenders in the same rounds; and whether it does. */
import { GROWING } from "../workloads/growth.mjs";
import { beyondHalfAgain, costItself, costRatioOf, cpuRatio, heapOver, rateRatio } from "./figures.mjs";
import { median } from "./statistics.mjs";

/**
 * @typedef {object} Goal
 * @property {string} what
 * @property {string} [means] What a user has of it.
 * @property {string} workload
 * @property {string[]} cases Their figures count together.
 * @property {string} ours
 * @property {string} [theirs] Missing if the goal is a figure in a unit.
 * @property {import("./figures.mjs").Figure} figure
 * @property {string} [unit] Missing if the figure is a ratio.
 * @property {number} [least] The figure has to be at least this.
 * @property {number} [most] The figure must not be more than this.
 */

/**
 * @typedef {object} Verdict
 * @property {Goal} goal
 * @property {number} figure
 * @property {number} [costRatio] Where that is a ratio of rates: of the server's processor time.
 * @property {"reached" | "by processor time" | "within noise" | "not reached"} verdict
 */

/** Below this difference two figures of one run are the same; see the suite's rules in README.md. */
const NOISE = 0.05;
/** Ratios in a run on a shared machine, which decide whether a change may land, get more. */
export const QUICK_SLACK = 0.15;

/** The exponent of linear growth. It is above 1, because larger data no longer fits the processor's caches. */
export const LINEAR = 1.15;

const SMALL = ["64 B, 10 connections", "64 B, 100 connections", "1 KiB, 10 connections", "1 KiB, 100 connections"];
const UP = ["up"];
const DOWN = ["down"];
const BATCH = ["batches of 100"];
const FRAME = ["4 + 60 B"];
const FLOOD = ["50 beside a flood"];
const CHURN = ["one line each, 10 at a time"];
const IDLE = ["4000 waiting for a line"];
const CROWD = ["growth from 10 to 10,000 connections"];
const CLIENTS = ["1 KiB, 10 connections", "1 KiB, 100 connections"];
const CONTEXTS = ["by hand, with a context per connection"];
const COPIES = ["copy, 1 variable", "copy, 1000 variables"];
const AWAITS = ["await null", "await asyncFunction()", "await, 10 deep"];
const FIGURES = ["1 variable", "10 variables", "100 variables", "1000 variables"];
const TO_THOUSAND = FIGURES.map((size) => `get, ${size}`);
const SETS = [...FIGURES, "10000 variables"].map((size) => `set, ${size}`);

/** @type {Goal[]} */
export const GOALS = [
  ...meaning("many small messages cost a server what they cost on raw sockets", [
    cpu("echo 1 KiB, 10 connections : raw net", "echo", ["1 KiB, 10 connections"], "contextvars@24", "net@24", 1),
    cpu("echo 64 B, 100 connections : raw net", "echo", ["64 B, 100 connections"], "contextvars@24", "net@24", 1),
    rate(
      "echo 1 KiB, 1000 connections : raw net",
      "echo",
      ["1 KiB, 1000 connections"],
      "contextvars@24",
      "net@24",
      0.92,
    ),
    rate("echo ≤ 1 KiB, Node 20 : raw net", "echo", SMALL, "contextvars@20", "net@20", 0.9),
  ]),
  ...meaning("a message costs little more when thousands of others are connected", [
    cost("echo, growth from 10 to 10,000 connections", "echo", CROWD, "contextvars@24", 1.3, { unit: "×" }),
  ]),
  ...meaning("a server in Python that moves here becomes no slower", [
    rate("echo ≤ 1 KiB : uvloop", "echo", SMALL, "contextvars@24", "uvloop", 1),
    rate("echo ≤ 1 KiB : asyncio", "echo", SMALL, "contextvars@24", "asyncio", 2.8),
    rate("echo 16 KiB : uvloop", "echo", ["16 KiB, 10 connections"], "contextvars@24", "uvloop", 1),
    rate("echo 100 KiB : uvloop", "echo", ["100 KiB, 10 connections"], "contextvars@24", "uvloop", 0.95),
  ]),
  ...meaning("large messages pass at the speed of raw sockets", [
    rate("echo 16 KiB : raw net", "echo", ["16 KiB, 10 connections"], "contextvars@24", "net@24", 0.97),
    rate("echo 100 KiB : raw net", "echo", ["100 KiB, 10 connections"], "contextvars@24", "net@24", 1.05),
  ]),
  ...meaning("text protocols are read by `await`, close to the speed of a parser by hand", [
    rate("lines, readline and drain : corked", "lines", BATCH, "contextvars@24", "corked@24", 0.68),
    rate("lines, for await : corked", "lines", BATCH, "iterated@24", "corked@24", 0.9),
    rate("lines, tryReadline : corked", "lines", BATCH, "taken@24", "corked@24", 1.45),
    rate("lines : raw net", "lines", BATCH, "contextvars@24", "net@24", 15),
    rate("lines : uvloop", "lines", BATCH, "contextvars@24", "uvloop", 3),
    rate("lines : asyncio", "lines", BATCH, "contextvars@24", "asyncio", 20),
    rate("lines, tryReadline : uvloop", "lines", BATCH, "taken@24", "uvloop", 5.5),
    rate("lines, tryReadline : Go", "lines", BATCH, "taken@24", "go", 0.45),
  ]),
  ...meaning("binary protocols are read by `await`, close to the speed of a parser by hand", [
    rate("frames, readexactly : corked", "frames", FRAME, "contextvars@24", "corked@24", 0.72),
    rate("frames, tryReadexactly : corked", "frames", FRAME, "taken@24", "corked@24", 1),
    rate("frames, codec, no promise : corked", "frames", FRAME, "codec taken@24", "corked@24", 0.9),
    rate("frames : uvloop", "frames", FRAME, "contextvars@24", "uvloop", 3),
    rate("frames : asyncio", "frames", FRAME, "contextvars@24", "asyncio", 25),
  ]),
  ...meaning("uploads, downloads and proxies move bytes as fast as raw sockets", [
    rate("bulk read : raw net", "bulk", UP, "read@24", "net@24", 1),
    rate("bulk read : uvloop", "bulk", UP, "read@24", "uvloop read", 3),
    rate("bulk read : asyncio", "bulk", UP, "read@24", "asyncio read", 4),
    rate("bulk readexactly : raw net", "bulk", UP, "readexactly@24", "net@24", 0.7),
    rate("bulk readexactly : uvloop", "bulk", UP, "readexactly@24", "uvloop readexactly", 1.3),
    rate("bulk readexactly : asyncio", "bulk", UP, "readexactly@24", "asyncio readexactly", 2.3),
    rate("bulk readInto : raw net", "bulk", UP, "readInto@24", "net@24", 1),
    rate("bulk readInto : uvloop", "bulk", UP, "readInto@24", "uvloop read", 1.8),
    rate("bulk down : raw net", "bulk", DOWN, "contextvars@24", "net@24", 0.97),
    rate("bulk down : asyncio", "bulk", DOWN, "contextvars@24", "asyncio", 1.05),
    rate("relay : pipeline", "relay", UP, "relay@24", "pipeline@24", 1),
  ]),
  ...meaning("a client's requests cost what they cost on raw sockets", [
    rate("client : raw net", "client", CLIENTS, "contextvars@24", "net@24", 1.05),
    rate("client : uvloop", "client", CLIENTS, "contextvars@24", "uvloop", 1.05),
    rate("client : asyncio", "client", CLIENTS, "contextvars@24", "asyncio", 3),
  ]),
  ...meaning("clients that come and go are served at close to the cost of raw sockets", [
    ...["20", "22", "24", "26"].map((node) =>
      cpu(`churn, Node ${node} : raw net`, "runtimes", ["churn"], `contextvars@${node}`, `net@${node}`, 0.82),
    ),
    cost("churn : uvloop", "churn", CHURN, "contextvars@24", 0.95, { theirs: "uvloop" }),
    cost("churn : asyncio", "churn", CHURN, "contextvars@24", 0.6, { theirs: "asyncio" }),
  ]),
  ...meaning("a server holds many quiet connections in little memory", [
    {
      ...cost("idle connection, heap over a bare socket", "idle-memory", IDLE, "contextvars@24", 2.7, { unit: "KB" }),
      theirs: "net@24",
      figure: heapOver,
    },
    cost("idle connection : asyncio", "idle-memory", IDLE, "contextvars@24", 1, { theirs: "asyncio" }),
  ]),
  ...meaning("clients wait no longer when the server is busy", [
    cost("p99 at half load : raw net", "latency", ["40 k messages/s"], "contextvars@24", 1.1, { theirs: "net@24" }),
    cost("p99 beside a flood : corked", "fairness", FLOOD, "contextvars@24", 1.1, { theirs: "corked@24" }),
    cost("p99 beside a flood : uvloop", "fairness", FLOOD, "contextvars@24", 0.5, { theirs: "uvloop" }),
  ]),
  ...meaning("a program can have a hundred thousand tasks that sleep", [
    cost("sleeping task", "tasks", ["memory of a sleeping task"], "contextvars@24", 1.5, { unit: "KB" }),
    cost("100,000 sleeping tasks : asyncio", "tasks", ["100,000 sleeping tasks"], "contextvars@24", 0.25, {
      theirs: "asyncio",
    }),
  ]),
  ...meaning("a limit of time for each request is free", [
    cost("timeout(30), 1000 timers pending", "tasks", ["timeout(30), 1000 pending"], "contextvars@24", 0.6, {
      unit: "µs",
    }),
    cost("timeout(30), none pending", "tasks", ["timeout(30), none pending"], "contextvars@24", 0.85, { unit: "µs" }),
  ]),
  ...meaning("a task can be made for anything that may run beside the rest", [
    cost("create task and await : asyncio", "tasks", ["create and await"], "contextvars@24", 0.12, {
      theirs: "asyncio",
    }),
    cost("create task and await : uvloop", "tasks", ["create and await"], "contextvars@24", 1 / 7, {
      theirs: "uvloop",
    }),
    cost("async_tree none : asyncio", "tasks", ["async_tree none"], "contextvars@24", 1 / 5, { theirs: "asyncio" }),
  ]),
  ...meaning("a variable can be read everywhere, as in each line of a log", [
    cost("get : getStore", "context", TO_THOUSAND, "contextvars@24", 1.25, { theirs: "getStore@24" }),
    cost("get, Node 20 : getStore", "context", TO_THOUSAND, "contextvars@20", 2, { theirs: "getStore@20" }),
    cost("get : CPython", "context", TO_THOUSAND, "contextvars@24", 0.75, { theirs: "cpython" }),
    cost("get, Node 20 : CPython", "context", TO_THOUSAND, "contextvars@20", 0.35, { theirs: "cpython" }),
  ]),
  ...meaning("a variable can be set for each request, however many there are", [
    ...SETS.map((name) => cost(`${name} : CPython`, "context", [name], "contextvars@24", 1, { theirs: "cpython" })),
    cost("memory of copy and set, 100 variables", "context", ["memory, 100 variables"], "contextvars@24", 620, {
      unit: "bytes",
    }),
    cost("memory of copy and set, 1000 variables", "context", ["memory, 1000 variables"], "contextvars@24", 900, {
      unit: "bytes",
    }),
  ]),
  ...meaning("each request can have a Context of its own", [
    cost("copyContext : CPython", "context", COPIES, "contextvars@24", 0.6, { theirs: "cpython" }),
    cost("Context.run : als.run", "context", ["run, 1 variable"], "contextvars@24", 1.08, { theirs: "als.run@24" }),
    cost("Context.run, Node 20 : CPython", "context", ["run, 1 variable"], "contextvars@20", 0.35, {
      theirs: "cpython",
    }),
    rate("echo with a context per connection : without", "echo", CONTEXTS, "context@24", "bare@24", 0.97),
  ]),
  ...meaning("the rest of the program does not notice the import", [
    cost("await, imported : not", "awaits", AWAITS, "imported@24", 1.03, { theirs: "bare@24" }),
    cost("await, imported : not, Node 20", "awaits", AWAITS, "imported@20", 1.03, { theirs: "bare@20" }),
  ]),
  ...meaning("a command-line tool or a function in a cloud starts at once", [
    {
      ...cost("import, beyond 1.5 × node:net", "load", ["import"], "contextvars/asyncio@24", 8, { unit: "ms" }),
      theirs: "node:net@24",
      figure: beyondHalfAgain,
    },
    cost("sleep and createTask in a bundle, brotli", "load", ["size in a bundle"], "sleep and createTask", 10, {
      unit: "KiB",
    }),
  ]),
  ...meaning(
    "ten times the work takes ten times the time",
    GROWING.map((name) => cost(`${name} : linear`, "growth", [name], "contextvars@24", LINEAR, { theirs: "linear" })),
  ),
];

/**
 * What each goal has come to. Those whose contenders were not there are left out.
 *
 * @param {import("./report.mjs").CaseResult[]} cases
 * @param {Goal[]} goals
 * @returns {Verdict[]}
 */
export function verdicts(cases, goals = GOALS) {
  return goals.flatMap((goal) => {
    const found = pooled(cases, goal);
    if (found.length === 0) {
      return [];
    }
    const figure = median(found);
    const costs = goal.figure === rateRatio ? pooled(cases, { ...goal, figure: costRatioOf }) : [];
    const costRatio = costs.length > 0 ? median(costs) : undefined;
    return [
      { goal, figure, ...(costRatio === undefined ? {} : { costRatio }), verdict: judge(goal, figure, costRatio) },
    ];
  });
}

/**
 * @param {Goal} goal
 * @param {number} figure
 * @param {number} [costRatio]
 * @returns {Verdict["verdict"]}
 */
function judge({ least, most }, figure, costRatio) {
  if (least === undefined ? figure <= (most ?? 0) : figure >= least) {
    return "reached";
  }
  // Where the client, or another program, had a part in the rate, the processor time is the better witness.
  if (least !== undefined && costRatio !== undefined && 1 / costRatio >= least) {
    return "by processor time";
  }
  const isClose = least === undefined ? figure <= (most ?? 0) * (1 + NOISE) : figure >= least * (1 - NOISE);
  return isClose ? "within noise" : "not reached";
}

/**
 * The figure of every round in which all who are asked for took part: others ran under other conditions.
 *
 * @param {import("./report.mjs").CaseResult[]} cases
 * @param {Goal} goal
 */
function pooled(cases, { workload, cases: names, ours, theirs = ours, figure }) {
  return cases
    .filter((one) => one.workload === workload && names.includes(one.name))
    .flatMap(({ rows }) => {
      const [mine, base] = [ours, theirs].map((name) => rows.find((row) => row.name === name)?.samples ?? []);
      return (mine ?? []).flatMap((sample, round) => {
        const other = base?.[round];
        return sample && other ? (figure(sample, other) ?? []) : [];
      });
    });
}

/**
 * The ratio of the rates is at least so much.
 *
 * @param {string} what
 * @param {string} workload
 * @param {string[]} cases
 * @param {string} ours
 * @param {string} theirs
 * @param {number} least
 * @returns {Goal}
 */
function rate(what, workload, cases, ours, theirs, least) {
  return { what, workload, cases, ours, theirs, least, figure: rateRatio };
}

/**
 * They need at least so many times as much processor time for each operation.
 *
 * @type {typeof rate}
 */
function cpu(what, ...rest) {
  return { ...rate(`${what}, cpu`, ...rest), figure: cpuRatio };
}

/**
 * The cost is at most so much: so many times theirs, or so many of a unit.
 *
 * @param {string} what
 * @param {string} workload
 * @param {string[]} cases
 * @param {string} ours
 * @param {number} most
 * @param {{ theirs: string } | { unit: string }} measure
 * @returns {Goal}
 */
function cost(what, workload, cases, ours, most, measure) {
  return { what, workload, cases, ours, most, ...measure, figure: "theirs" in measure ? costRatioOf : costItself };
}

/**
 * @param {string} means
 * @param {Goal[]} goals
 * @returns {Goal[]}
 */
function meaning(means, goals) {
  return goals.map((goal) => ({ ...goal, means }));
}
