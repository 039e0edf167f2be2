/** What the library wants to reach, each goal as a ratio of two contenders in the same rounds; and whether it does. */
import { GROWING } from "../workloads/growth.mjs";
import { median, ratios } from "./statistics.mjs";

/**
 * @typedef {object} Goal
 * @property {string} what
 * @property {string} workload
 * @property {string[]} cases Their ratios count together.
 * @property {string} ours
 * @property {string} theirs
 * @property {number} [least] The ratio of the rates has to be at least this.
 * @property {number} [most] The ratio of the costs must not be more than this.
 */

/**
 * @typedef {object} Verdict
 * @property {Goal} goal
 * @property {number} ratio Of the figure that the goal is about.
 * @property {number} [costRatio] Where that is the rate: of the server's processor time.
 * @property {"reached" | "by processor time" | "within noise" | "not reached"} verdict
 */

/** Below this difference two figures of one run are the same; see the suite's rules in README.md. */
const NOISE = 0.05;
/** Ratios in a run on a shared machine, which decide whether a change may land, get more. */
export const QUICK_SLACK = 0.15;

/** The exponent of what grows with its work and no more: what is touched leaves the processor's caches, too. */
export const LINEAR = 1.15;

const SMALL = ["64 B, 10 connections", "64 B, 100 connections", "1 KiB, 10 connections", "1 KiB, 100 connections"];
const UP = ["up"];
const DOWN = ["down"];
const BATCH = ["batches of 100"];
const FRAME = ["4 + 60 B"];
const FLOOD = ["50 beside a flood"];
const CHURN = ["one line each, 10 at a time"];
const IDLE = ["4000 waiting for a line"];
const FIGURES = ["1 variable", "10 variables", "100 variables", "1000 variables"];
const TO_THOUSAND = FIGURES.map((size) => `get, ${size}`);
const SETS = [...FIGURES, "10000 variables"].map((size) => `set, ${size}`);

/** @type {Goal[]} */
export const GOALS = [
  rate("S1 echo ≤ 1 KiB : raw net", "echo", SMALL, "contextvars@24", "net@24", 0.97),
  rate("S1 echo ≤ 1 KiB : uvloop", "echo", SMALL, "contextvars@24", "uvloop", 1),
  rate("S1 echo ≤ 1 KiB : asyncio", "echo", SMALL, "contextvars@24", "asyncio", 2.8),
  rate("S1b echo ≤ 1 KiB, Node 20 : raw net", "echo", SMALL, "contextvars@20", "net@20", 0.9),
  rate("S2 echo 16 KiB : raw net", "echo", ["16 KiB, 10 connections"], "contextvars@24", "net@24", 0.97),
  rate("S2 echo 16 KiB : uvloop", "echo", ["16 KiB, 10 connections"], "contextvars@24", "uvloop", 1),
  rate("S3 echo 100 KiB : raw net", "echo", ["100 KiB, 10 connections"], "contextvars@24", "net@24", 1.05),
  rate("S3 echo 100 KiB : uvloop", "echo", ["100 KiB, 10 connections"], "contextvars@24", "uvloop", 0.95),
  rate("S4 lines : raw net", "lines", BATCH, "contextvars@24", "net@24", 15),
  rate("S4 lines : corked", "lines", BATCH, "contextvars@24", "corked@24", 0.9),
  rate("S4 lines, drain where needed : corked", "lines", BATCH, "needed@24", "corked@24", 0.9),
  rate("S4 lines : uvloop", "lines", BATCH, "contextvars@24", "uvloop", 3),
  rate("S4 lines : asyncio", "lines", BATCH, "contextvars@24", "asyncio", 20),
  rate("S5 lines, no promise : corked", "lines", BATCH, "taken@24", "corked@24", 1.6),
  rate("S5 lines, no promise : uvloop", "lines", BATCH, "taken@24", "uvloop", 5.5),
  rate("S5 lines, no promise : Go", "lines", BATCH, "taken@24", "go", 0.45),
  rate("S6 bulk read : raw net", "bulk", UP, "read@24", "net@24", 1),
  rate("S6 bulk read : uvloop", "bulk", UP, "read@24", "uvloop read", 3),
  rate("S6 bulk read : asyncio", "bulk", UP, "read@24", "asyncio read", 4),
  rate("S6 bulk readexactly : raw net", "bulk", UP, "readexactly@24", "net@24", 0.7),
  rate("S6 bulk readexactly : uvloop", "bulk", UP, "readexactly@24", "uvloop readexactly", 1.3),
  rate("S6 bulk readexactly : asyncio", "bulk", UP, "readexactly@24", "asyncio readexactly", 2.3),
  rate("S6 bulk readInto : raw net", "bulk", UP, "readInto@24", "net@24", 1),
  rate("S6 bulk readInto : uvloop", "bulk", UP, "readInto@24", "uvloop read", 1.8),
  rate("S6b frames : corked", "frames", FRAME, "contextvars@24", "corked@24", 0.9),
  rate("S6b frames, codec, no promise : corked", "frames", FRAME, "codec taken@24", "corked@24", 0.9),
  rate("S6b frames : uvloop", "frames", FRAME, "contextvars@24", "uvloop", 3),
  rate("S6b frames : asyncio", "frames", FRAME, "contextvars@24", "asyncio", 25),
  rate("S7 bulk down : raw net", "bulk", DOWN, "contextvars@24", "net@24", 0.97),
  rate("S7 bulk down : asyncio", "bulk", DOWN, "contextvars@24", "asyncio", 1.05),
  rate("S7b relay : pipeline", "relay", UP, "relay@24", "pipeline@24", 1),
  ...["net@24", "uvloop", "asyncio"].map((theirs) =>
    rate(
      `S8 client : ${theirs === "net@24" ? "raw net" : theirs}`,
      "client",
      ["1 KiB, 10 connections", "1 KiB, 100 connections"],
      "contextvars@24",
      theirs,
      theirs === "asyncio" ? 3 : 1.05,
    ),
  ),
  cost("S9 churn : raw net", "churn", CHURN, "contextvars@24", "net@24", 1.06),
  cost("S9 churn : uvloop", "churn", CHURN, "contextvars@24", "uvloop", 0.95),
  cost("S9 churn : asyncio", "churn", CHURN, "contextvars@24", "asyncio", 0.6),
  cost("S10 idle connection : asyncio", "idle-memory", IDLE, "contextvars@24", "asyncio", 1),
  cost("S11 p99 at half load : raw net", "latency", ["40 k messages/s"], "contextvars@24", "net@24", 1.1),
  cost("S11 p99 beside a flood : corked", "fairness", FLOOD, "contextvars@24", "corked@24", 1.1),
  cost("S11 p99 beside a flood : uvloop", "fairness", FLOOD, "contextvars@24", "uvloop", 0.5),
  cost("C1 get : getStore", "context", TO_THOUSAND, "contextvars@24", "getStore@24", 1.15),
  cost("C1 get : CPython", "context", TO_THOUSAND, "contextvars@24", "cpython", 0.75),
  cost("C1 get, Node 20 : CPython", "context", TO_THOUSAND, "contextvars@20", "cpython", 0.35),
  ...SETS.map((name) => cost(`C2 ${name} : CPython`, "context", [name], "contextvars@24", "cpython", 1)),
  cost(
    "C3 copyContext : CPython",
    "context",
    ["copy, 1 variable", "copy, 1000 variables"],
    "contextvars@24",
    "cpython",
    0.6,
  ),
  cost("C4 Context.run : als.run", "context", ["run, 1 variable"], "contextvars@24", "als.run@24", 1.08),
  cost("C4 Context.run, Node 20 : CPython", "context", ["run, 1 variable"], "contextvars@20", "cpython", 0.35),
  cost(
    "C5 await, imported : not",
    "awaits",
    ["await null", "await asyncFunction()", "await, 10 deep"],
    "imported@24",
    "bare@24",
    1.03,
  ),
  cost(
    "C5 await, imported : not, Node 20",
    "awaits",
    ["await null", "await asyncFunction()", "await, 10 deep"],
    "imported@20",
    "bare@20",
    1.03,
  ),
  rate(
    "C7 echo with a context per connection : without",
    "echo",
    ["by hand, with a context per connection"],
    "context@24",
    "bare@24",
    0.97,
  ),
  cost("C6 create task and await : asyncio", "tasks", ["create and await"], "contextvars@24", "asyncio", 1 / 10),
  cost("C6 create task and await : uvloop", "tasks", ["create and await"], "contextvars@24", "uvloop", 1 / 7),
  cost("C6 async_tree none : asyncio", "tasks", ["async_tree none"], "contextvars@24", "asyncio", 1 / 5),
  ...GROWING.map((name) => cost(`G ${name} : linear`, "growth", [name], "contextvars@24", "linear", LINEAR)),
];

/** The idle connection has a goal in bytes more, which no ratio says. */
export const IDLE_GOAL = { workload: "idle-memory", ours: "contextvars@24", theirs: "net@24", most: 1536 /* bytes */ };

/**
 * What each goal has come to. Those whose contenders were not there are left out.
 *
 * @param {import("./report.mjs").CaseResult[]} cases
 * @param {Goal[]} goals
 * @returns {Verdict[]}
 */
export function verdicts(cases, goals = GOALS) {
  return goals.flatMap((goal) => {
    const isRate = goal.least !== undefined;
    const found = pooled(cases, goal, isRate ? "rate" : "cost");
    if (found.length === 0) {
      return [];
    }
    const ratio = median(found);
    const costs = isRate ? pooled(cases, goal, "cost") : [];
    const costRatio = costs.length > 0 ? median(costs) : undefined;
    return [{ goal, ratio, ...(costRatio === undefined ? {} : { costRatio }), verdict: judge(goal, ratio, costRatio) }];
  });
}

/**
 * @param {Goal} goal
 * @param {number} ratio
 * @param {number} [costRatio]
 * @returns {Verdict["verdict"]}
 */
function judge({ least, most }, ratio, costRatio) {
  if (least === undefined ? ratio <= (most ?? 0) : ratio >= least) {
    return "reached";
  }
  // Where the client, or another program, had a part in the rate, the processor time is the better witness.
  if (least !== undefined && costRatio !== undefined && 1 / costRatio >= least) {
    return "by processor time";
  }
  const isClose = least === undefined ? ratio <= (most ?? 0) * (1 + NOISE) : ratio >= least * (1 - NOISE);
  return isClose ? "within noise" : "not reached";
}

/**
 * @param {import("./report.mjs").CaseResult[]} cases
 * @param {Goal} goal
 * @param {"rate" | "cost"} figure
 */
function pooled(cases, { workload, cases: names, ours, theirs }, figure) {
  return cases
    .filter((one) => one.workload === workload && names.includes(one.name))
    .flatMap(({ rows }) => {
      const [mine, base] = [ours, theirs].map((name) => rows.find((row) => row.name === name)?.samples ?? []);
      return ratios(mine ?? [], base ?? [], figure);
    });
}

/**
 * @param {string} what
 * @param {string} workload
 * @param {string[]} cases
 * @param {string} ours
 * @param {string} theirs
 * @param {number} least
 * @returns {Goal}
 */
function rate(what, workload, cases, ours, theirs, least) {
  return { what, workload, cases, ours, theirs, least };
}

/**
 * @param {string} what
 * @param {string} workload
 * @param {string[]} cases
 * @param {string} ours
 * @param {string} theirs
 * @param {number} most
 * @returns {Goal}
 */
function cost(what, workload, cases, ours, theirs, most) {
  return { what, workload, cases, ours, theirs, most };
}
