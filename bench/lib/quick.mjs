/** What a change must not make worse: a few ratios to Node's own means, in the same run, with slack. */

import { say } from "../../scripts/support.mjs";
import { GROWING } from "../workloads/growth.mjs";
import { costRatioOf, rateRatio } from "./figures.mjs";
import { LINEAR, QUICK_SLACK, verdicts } from "./goals.mjs";
import { aligned, ratioText } from "./report.mjs";

/**
 * The median ratio that full runs have shown on Node 24, on the machine on which it was least.
 *
 * @type {import("./goals.mjs").Goal[]}
 */
const USUAL = [
  usual("echo", "1 KiB, 10 connections", "contextvars@24", "net@24", { least: 0.85 }),
  usual("lines", "batches of 100", "contextvars@24", "net@24", { least: 5 }),
  usual("lines", "batches of 100", "taken@24", "net@24", { least: 10 }),
  usual("frames", "4 + 60 B", "contextvars@24", "corked@24", { least: 0.6 }),
  usual("bulk", "up", "read@24", "net@24", { least: 1 }),
  usual("context", "get, 1 variable", "contextvars@24", "getStore@24", { most: 1.3 }),
  usual("context", "run, 1 variable", "contextvars@24", "als.run@24", { most: 1.15 }),
  usual("opentelemetry", "with, active", "contextvars@24", "standard@24", { most: 1.3 }),
  usual("awaits", "await null", "imported@24", "bare@24", { most: 1 }),
  ...GROWING.map((name) => usual("growth", name, "contextvars@24", "linear", { most: LINEAR })),
];

/**
 * Prints each ratio beside its goal.
 *
 * @param {import("./report.mjs").CaseResult[]} cases
 * @param {import("./goals.mjs").Goal[]} goals Goals whose case did not run are left out.
 * @returns {import("./goals.mjs").Goal[]} The goals that were not reached, or have no figure because a program failed.
 */
export function judgeQuick(cases, goals = USUAL) {
  const ran = goals.filter((goal) => cases.some((one) => one.workload === goal.workload && one.name === goal.cases[0]));
  const found = ran.map((goal) => ({ goal, ...judged(cases, goal) }));
  const lines = found.map(({ goal, best, limit, isGood }) => [
    goal.what,
    Number.isNaN(best) ? "none" : ratioText(best),
    `${goal.least === undefined ? "≤" : "≥"} ${ratioText(limit)}`,
    isGood ? "good" : "worse",
  ]);
  say(`\n${aligned([["ratio", "median", "limit", ""], ...lines])}`);
  return found.filter(({ isGood }) => !isGood).map(({ goal }) => goal);
}

/**
 * @param {import("./report.mjs").CaseResult[]} cases
 * @param {import("./goals.mjs").Goal} goal
 */
function judged(cases, goal) {
  const [verdict] = verdicts(cases, [goal]);
  const figure = verdict?.figure ?? Number.NaN;
  const limit = goal.least === undefined ? (goal.most ?? 0) * (1 + QUICK_SLACK) : goal.least * (1 - QUICK_SLACK);
  // A neighbour on the machine spoils the rate more than the processor time: one of the two has to do.
  const best = verdict?.costRatio === undefined ? figure : Math.max(figure, 1 / verdict.costRatio);
  return { best, limit, isGood: goal.least === undefined ? best <= limit : best >= limit };
}

/**
 * @param {string} workload
 * @param {string} name
 * @param {string} ours
 * @param {string} theirs
 * @param {{ least: number } | { most: number }} bound
 * @returns {import("./goals.mjs").Goal}
 */
function usual(workload, name, ours, theirs, bound) {
  const figure = "least" in bound ? rateRatio : costRatioOf;
  return {
    what: `${workload}, ${name}: ${ours} to ${theirs}`,
    workload,
    cases: [name],
    ours,
    theirs,
    figure,
    ...bound,
  };
}
