/**
 * The benchmark suite.
 *
 *     npm run bench                     everything; the results go to bench/results/latest.json and latest.svg
 *     npm run bench -- echo lines       these workloads; the results go to bench/results/partial.json
 *     npm run bench -- --quick          a minute and a half's worth, for CI: fails where a ratio is worse three times
 *     npm run bench -- --list           the names of the workloads
 *
 * --node 20,22,24,26   the Nodes to run on, fetched where they can be; else the running one and 24
 * --python NAME        the CPython to compare with; python3 unless given
 * --rounds N, --seconds X, --warmup X   how often, and how long, everyone's turn is
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { build, fail, readJson, say } from "../scripts/support.mjs";
import { verdicts } from "./lib/goals.mjs";
import { describe, findPeers } from "./lib/peers.mjs";
import { judgeQuick } from "./lib/quick.mjs";
import { aligned, goalTable, table } from "./lib/report.mjs";
import { runRounds } from "./lib/rounds.mjs";
import { plot } from "./plot.mjs";
import { bulk } from "./workloads/bulk.mjs";
import { churn } from "./workloads/churn.mjs";
import { client } from "./workloads/client.mjs";
import { echo } from "./workloads/echo.mjs";
import { fairness } from "./workloads/fairness.mjs";
import { frames } from "./workloads/frames.mjs";
import { growth } from "./workloads/growth.mjs";
import { latency } from "./workloads/latency.mjs";
import { lines } from "./workloads/lines.mjs";
import { idleMemory, slowReader } from "./workloads/memory.mjs";
import { awaits, context, load, opentelemetry, tasks } from "./workloads/micro.mjs";
import { relay } from "./workloads/relay.mjs";
import { runtimes } from "./workloads/runtimes.mjs";
import { tls } from "./workloads/tls.mjs";

/** @typedef {(peers: import("./lib/peers.mjs").Peers, isQuick: boolean) => import("./lib/rounds.mjs").Case[]} Workload */

/** @type {Record<string, Workload>} */
const WORKLOADS = {
  echo,
  lines,
  frames,
  bulk,
  relay,
  client,
  churn,
  latency,
  fairness,
  "slow-reader": slowReader,
  "idle-memory": idleMemory,
  tls,
  context,
  awaits,
  tasks,
  opentelemetry,
  runtimes,
  growth,
  load,
};

const RESULTS = "bench/results";
const QUICK_REPEATS = 2;

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    node: { type: "string", default: "" },
    python: { type: "string", default: "python3" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    warmup: { type: "string" },
  },
});
const defaults = options.quick ? { rounds: 5, seconds: 0.3, warmup: 0.15 } : { rounds: 5, seconds: 0.5, warmup: 0.25 };

if (options.list) {
  say(Object.keys(WORKLOADS).join("\n"));
} else {
  await main();
}

async function main() {
  const unknown = names.filter((name) => WORKLOADS[name] === undefined);
  if (unknown.length > 0) {
    fail(`no workload ${unknown.join(", ")}; there are ${Object.keys(WORKLOADS).join(", ")}`);
  }
  build({ tests: false });
  const peers = findPeers({
    nodes: options.node === "" ? [] : options.node.split(","),
    python: options.python,
    seconds: Number(options.seconds ?? defaults.seconds),
    warmup: Number(options.warmup ?? defaults.warmup),
  });
  const about = { ...describe(peers), rounds: Number(options.rounds ?? defaults.rounds) };
  say(JSON.stringify(about));
  const started = new Date();
  const cases = await runAll(peers, about.rounds, () => true);
  const results = {
    started: started.toISOString(),
    minutes: (Date.now() - started.getTime()) / 60_000,
    ...about,
    cases,
  };
  if (options.quick) {
    process.exitCode = (await isQuickGood(cases, peers, about.rounds)) ? 0 : 1;
    return;
  }
  save(results);
  // What the goals mean would not fit into a line of a terminal.
  say(`\n${aligned(goalTable(verdicts(cases)).map((line) => line.slice(0, -1)))}`);
  if (cases.some(({ rows }) => rows.some(({ error }) => error !== undefined))) {
    fail("\nnot everyone came to the end");
  }
}

/**
 * What has become worse is worse each time; what a neighbour on the machine has slowed down is not.
 *
 * @param {import("./lib/report.mjs").CaseResult[]} cases
 * @param {import("./lib/peers.mjs").Peers} peers
 * @param {number} rounds
 */
async function isQuickGood(cases, peers, rounds) {
  let worse = judgeQuick(cases);
  for (let left = QUICK_REPEATS; worse.length > 0 && left > 0; left--) {
    say("\nonce more, what was worse:");
    const repeated = worse;
    const again = await runAll(peers, rounds, (workload, name) =>
      repeated.some((goal) => goal.workload === workload && goal.cases.includes(name)),
    );
    worse = judgeQuick(again, repeated);
  }
  return worse.length === 0;
}

/**
 * @param {import("./lib/peers.mjs").Peers} peers
 * @param {number} rounds
 * @param {(workload: string, name: string) => boolean} isWanted
 */
async function runAll(peers, rounds, isWanted) {
  /** @type {import("./lib/report.mjs").CaseResult[]} */
  const results = [];
  for (const [workload, casesOf] of Object.entries(WORKLOADS)) {
    if (names.length > 0 && !names.includes(workload)) {
      continue;
    }
    for (const one of casesOf(peers, options.quick).filter(({ name }) => isWanted(workload, name))) {
      const { contenders, rounds: own = rounds, times = 1, ...about } = one;
      const result = { workload, ...about, rows: await runRounds(contenders, Math.min(own, rounds) * times) };
      say(`\n${table(result)}`);
      results.push(result);
    }
  }
  return results;
}

/** @param {import("./plot.mjs").Results} results */
function save(results) {
  const file = `${RESULTS}/${names.length === 0 ? "latest" : "partial"}`;
  // Three digits are more than a shared machine is good for, and a quarter of the size.
  const rounded = JSON.stringify(results, (_, value) =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value,
  );
  writeFileSync(`${file}.json`, `${rounded.replaceAll('{"workload"', '\n{"workload"')}\n`);
  writeFileSync(`${file}.svg`, plot(readJson(`${file}.json`)));
  say(`\nresults: ${file}.json, ${file}.svg`);
}
