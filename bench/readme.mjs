/**
 * Writes the kept results into the documents: a summary into README.md, the goals into bench/README.md, what to write into
 * docs/guides/performance.md.
 *
 *     node bench/readme.mjs
 */
import { readFileSync, writeFileSync } from "node:fs";
import { readJson } from "../scripts/support.mjs";
import { GOALS, verdicts } from "./lib/goals.mjs";
import { goalTable, markdown, number, ratioText } from "./lib/report.mjs";
import { median, ratios } from "./lib/statistics.mjs";
import { RUNTIMES } from "./workloads/runtimes.mjs";

/** @typedef {import("./lib/report.mjs").CaseResult} CaseResult */

const results = readJson("bench/results/latest.json");
/** @type {CaseResult[]} */
const cases = results.cases;

/** What is said of a case: who stands for this package, and beside whom. */
const SUMMARY = [
  ["echo", "1 KiB, 10 connections", "echo, 1 KiB", "contextvars@24", "net@24"],
  ["echo", "1 KiB, 1000 connections", "echo, 1 KiB, 1000 connections", "contextvars@24", "net@24"],
  ["echo", "100 KiB, 10 connections", "echo, 100 KiB", "contextvars@24", "net@24"],
  ["lines", "batches of 100", "lines, `readline()` and `drain()` for each", "contextvars@24", "net@24"],
  ["lines", "batches of 100", "lines, `for await`", "iterated@24", "net@24"],
  ["lines", "batches of 100", "lines, `tryReadline()`", "taken@24", "net@24"],
  ["frames", "4 + 60 B", "frames, two `readexactly()` for each", "contextvars@24", "corked@24"],
  ["bulk", "up", "upload, `read(64 KiB)`", "read@24", "net@24", " read"],
  ["bulk", "up", "upload, `readexactly(64 KiB)`", "readexactly@24", "net@24", " readexactly"],
  ["bulk", "down", "download, `drain()` for each 64 KiB", "contextvars@24", "net@24"],
  ["client", "1 KiB, 10 connections", "client, 1 KiB round trips", "contextvars@24", "net@24"],
  ["tls", "echo 1 KiB, 10 connections", "echo through TLS, 1 KiB", "contextvars@24", "net@24"],
];

const COSTS = [
  ["context", "get, 100 variables", "`get()`, 100 variables"],
  ["context", "set, 1 variable", "`set()`, 1 variable"],
  ["context", "set, 1000 variables", "`set()`, 1000 variables"],
  ["context", "copy, 1000 variables", "`copyContext()`, 1000 variables"],
  ["context", "run, 1 variable", "`Context.run()`"],
  ["tasks", "create and await", "make a task and await it"],
  ["tasks", "gather of 100, each", "`gather` of 100, each"],
];

/**
 * @param {string} workload
 * @param {string} name
 */
function caseOf(workload, name) {
  return cases.find((one) => one.workload === workload && one.name === name);
}

/**
 * @param {CaseResult | undefined} one
 * @param {string} ours
 * @param {string} theirs
 */
function ratio(one, ours, theirs) {
  /** @param {string} wanted */
  const samples = (wanted) => one?.rows.find(({ name }) => name === wanted)?.samples ?? [];
  const found = ratios(samples(ours), samples(theirs), "rate");
  return found.length === 0 ? "–" : ratioText(median(found));
}

/**
 * @param {CaseResult | undefined} one
 * @param {string} wanted
 */
function costOf(one, wanted) {
  const costs = one?.rows.find(({ name }) => name === wanted)?.samples.flatMap((sample) => sample?.cost ?? []) ?? [];
  return costs.length === 0 ? "–" : number(median(costs));
}

function summary() {
  const lines = SUMMARY.map(([workload = "", name = "", label = "", ours = "", raw = "", suffix = ""]) => {
    const one = caseOf(workload, name);
    return [
      label,
      ratio(one, ours, raw) + (raw === "net@24" ? "" : " (by hand, corked)"),
      ratio(one, ours, `uvloop${suffix}`),
      ratio(one, ours, `asyncio${suffix}`),
      ratio(one, ours, "go"),
    ];
  });
  return markdown([
    ["this package, as a multiple of", "raw `node:net`", "uvloop streams", "asyncio streams", "Go"],
    ...lines,
  ]);
}

function costs() {
  const lines = COSTS.map(([workload = "", name = "", label = ""]) => {
    const one = caseOf(workload, name);
    return [
      label,
      costOf(one, "contextvars@24"),
      costOf(one, "contextvars@20"),
      costOf(one, workload === "tasks" ? "asyncio" : "cpython"),
    ];
  });
  return markdown([["nanoseconds", "Node 24", "Node 20", "CPython"], ...lines]);
}

/** What to do fast, what to write, and beside what it is measured: two rows of a case. */
const ADVICE = [
  [
    "answer each of many lines",
    "`write()` for each, and `drain()` only if `writer.needsDrain` is true",
    "lines",
    "batches of 100",
    "needed@24",
    "contextvars@24",
    "`drain()` for each",
  ],
  [
    "read lines",
    "`for await (const line of reader)`",
    "lines",
    "batches of 100",
    "iterated@24",
    "needed@24",
    "`readline()`",
  ],
  [
    "read lines as fast as possible",
    "`tryReadline()` first, and `await reader.readline()` if it returns `null`",
    "lines",
    "batches of 100",
    "taken@24",
    "needed@24",
    "`readline()`",
  ],
  [
    "read frames by hand",
    "`tryReadexactly(n)` first, and `await reader.readexactly(n)` if it returns `null`",
    "frames",
    "4 + 60 B",
    "taken@24",
    "contextvars@24",
    "`readexactly()`",
  ],
  [
    "read and send frames",
    "`framed()` with `tryReceive()` and `sendAll()`",
    "frames",
    "4 + 60 B",
    "codec taken@24",
    "codec@24",
    "`for await` and `send()`",
  ],
  [
    "read bulk data",
    "`readInto(target)` into your own buffer",
    "bulk",
    "up",
    "readInto@24",
    "readexactly@24",
    "`readexactly(n)`",
  ],
  [
    "pass data on to another connection",
    "`relay()`",
    "relay",
    "round trips of 1 KiB, 10 connections",
    "relay@24",
    "pipeline@24",
    "Node's `pipeline()`",
  ],
];

function advice() {
  const lines = ADVICE.map(([wish = "", code = "", workload = "", name = "", ours = "", theirs = "", label = ""]) => {
    const measured = ratio(caseOf(workload, name), ours, theirs);
    return [wish, code, `${measured}${measured === "–" ? "" : " ×"} ${label}, \`${workload}\``];
  });
  return markdown([["to do this", "write this", "measured"], ...lines], [0, 1, 2]);
}

/** The exponents, each beside asyncio's. */
function growth() {
  const names = ["contextvars@24", "contextvars@20", "asyncio"];
  const lines = cases
    .filter(({ workload }) => workload === "growth")
    .map((one) => [one.name, ...names.map((name) => costOf(one, name))]);
  return markdown([["exponent between n and 4n", "Node 24", "Node 20", "asyncio"], ...lines]);
}

/** How a row of the runtimes is called, and what stands in it. @type {[string, string, string][]} */
const BESIDE_THEIR_OWN = [
  ["echo", "echo, 1 KiB", "net"],
  ["lines", "lines, `for await` : corked", "net"],
  ["frames", "frames, `tryReadexactly()` : corked", "net"],
  ["churn", "churn", "net"],
  ["client", "client, 1 KiB", "net"],
  ["create and await", "make a task and await it, ns", ""],
  ["get", "`get()` : `getStore()`", "getStore"],
  ["set", "`set()`, 10 variables, ns", ""],
];

/** This package on every runtime, beside what the runtime has itself. */
function onRuntimes() {
  const names = RUNTIMES.map((name) => (/^\d/.test(name) ? `Node ${name}` : name[0]?.toUpperCase() + name.slice(1)));
  const lines = BESIDE_THEIR_OWN.map(([name, label, base]) => {
    const one = caseOf("runtimes", name);
    return [label, ...RUNTIMES.map((runtime) => figureOn(one, runtime, base))];
  });
  return markdown([["beside the runtime's own", ...names], ...lines]);
}

/**
 * The ratio of the rates and, behind it, how many times as much processor time the base needs; of what has no rate, the
 * ratio of the costs; without a base, the cost.
 *
 * @param {CaseResult | undefined} one
 * @param {string} runtime
 * @param {string} base
 */
function figureOn(one, runtime, base) {
  const [ours, theirs] = ["contextvars", base].map(
    (name) => one?.rows.find((row) => row.name === `${name}@${runtime}`)?.samples ?? [],
  );
  if (base === "") {
    return costOf(one, `contextvars@${runtime}`);
  }
  const [rates, costs] = [ratios(ours ?? [], theirs ?? [], "rate"), ratios(ours ?? [], theirs ?? [], "cost")];
  if (costs.length === 0) {
    return "–";
  }
  return rates.length === 0 ? ratioText(median(costs)) : `${ratioText(median(rates))}; ${ratioText(1 / median(costs))}`;
}

function versions() {
  const { nodes, python, uvloop, go, machine, rounds, seconds, started } = results;
  const runtimes = [
    ...Object.values(nodes).map((version) => `Node ${version}`),
    ...(python === null ? [] : [`CPython ${python}`]),
    ...(uvloop === null ? [] : [`uvloop ${uvloop}`]),
    ...(go === null ? [] : [`Go ${go}`]),
  ];
  const text = `Measured on ${started.slice(0, 10)} with ${runtimes.join(", ")} (${machine}): medians of ${rounds} rounds of ${seconds} s, in which all took turns.`;
  return text.replace(/(.{1,120})(?: |$)/g, "$1\n").trimEnd();
}

/**
 * @param {string} file
 * @param {string} content
 * @param {string} [mark]
 */
function write(file, content, mark = "measured") {
  const text = readFileSync(file, "utf8");
  const place = new RegExp(`(?<=<!-- ${mark} -->\\n)[\\s\\S]*(?=<!-- end of what was ${mark} -->)`);
  if (!place.test(text)) {
    throw new Error(`${file} has no place for what was measured`);
  }
  writeFileSync(
    file,
    text.replace(place, () => `\n${content}\n\n`),
  );
}

write("README.md", [versions(), summary(), costs()].join("\n\n"));
write("docs/guides/performance.md", advice());
const goals = GOALS.filter(({ workload }) => workload !== "growth");
write("bench/README.md", [versions(), markdown(goalTable(verdicts(cases, goals)), [0, 4, 5])].join("\n\n"));
if (cases.some(({ workload }) => workload === "runtimes")) {
  write("bench/README.md", onRuntimes(), "measured of runtimes");
}
if (cases.some(({ workload }) => workload === "growth")) {
  write("bench/README.md", growth(), "measured of growth");
}
