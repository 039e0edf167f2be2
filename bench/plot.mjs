/**
 * Draws the results: for each case a bar from the base's 1 to the median ratio, with a line from the least to the most.
 *
 *     node bench/plot.mjs [RESULTS.json [PLOT.svg]]
 *
 * The scale is logarithmic: twice as fast is as long as half as fast. Colours are readable on light and dark grounds.
 */
import { writeFileSync } from "node:fs";
import { readJson } from "../scripts/support.mjs";
import { baseOf, ratioText } from "./lib/report.mjs";
import { ratios, spread } from "./lib/statistics.mjs";

/** @typedef {import("./lib/report.mjs").CaseResult} CaseResult */
/** @typedef {{ cases: CaseResult[], [about: string]: any }} Results */
/** @typedef {{ text: string, name: string, median: number, min: number, max: number }} Bar */

const SHOWN = [
  ["echo", "1 KiB, 10 connections"],
  ["echo", "100 KiB, 10 connections"],
  ["lines", "batches of 100"],
  ["frames", "4 + 60 B"],
  ["bulk", "up"],
  ["bulk", "down"],
  ["client", "1 KiB, 10 connections"],
  ["churn", "one line each, 10 at a time"],
  ["tls", "echo 1 KiB, 10 connections"],
  ["context", "get, 100 variables"],
  ["context", "set, 100 variables"],
  ["context", "run, 1 variable"],
  ["tasks", "create and await"],
];

const LABELS = 170;
const CHART = 520;
const VALUES = 60;
const ROW = 16;
const GROUP = 34; // above each case, for its name
const MARGIN = 12;
const TICKS = [0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32];

/**
 * @param {Results} results
 * @returns {string} SVG.
 */
export function plot({ cases, ...about }) {
  const groups = SHOWN.flatMap(([workload, name]) =>
    cases.filter((one) => one.workload === workload && one.name === name),
  )
    .map((one) => ({ title: titleOf(one), bars: barsOf(one) }))
    .filter(({ bars }) => bars.length > 0);
  const all = groups.flatMap(({ bars }) => bars);
  const [low, high] = [Math.min(0.5, ...all.map(({ min }) => min)), Math.max(2, ...all.map(({ max }) => max))];
  /** @param {number} ratio */
  const x = (ratio) => LABELS + (CHART * Math.log(ratio / low)) / Math.log(high / low);
  let y = MARGIN + 20;
  const drawn = groups.map(({ title, bars }) => {
    const head = text(MARGIN, y + GROUP - 12, title, "title");
    y += GROUP;
    const rows = bars.map((bar) => {
      const row = drawBar(bar, x, y);
      y += ROW;
      return row;
    });
    return [head, ...rows].join("\n");
  });
  const bottom = y + 8;
  const ticks = TICKS.filter((tick) => tick >= low && tick <= high).map(
    (tick) =>
      `<line class="${tick === 1 ? "one" : "tick"}" x1="${round(x(tick))}" x2="${round(x(tick))}" y1="${MARGIN + 20}" y2="${bottom}"/>\n` +
      text(x(tick), bottom + 14, String(tick), "scale"),
  );
  const width = LABELS + CHART + VALUES;
  const height = bottom + 40;
  const { nodes = {}, python, uvloop, go } = about;
  const versions = [
    ...Object.values(nodes).map((version) => `Node ${version}`),
    ...(python ? [`CPython ${python}`] : []),
    ...(uvloop ? [`uvloop ${uvloop}`] : []),
    ...(go ? [`Go ${go}`] : []),
  ].join(", ");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Ratios of the benchmark suite">
<style>
text { font: 12px system-ui, sans-serif; fill: #57606a; }
.title { font-weight: 600; fill: #24292f; }
.value, .scale { font-size: 11px; }
.scale { text-anchor: middle; }
.bar { fill: #8c959f; }
.ours { fill: #1f6feb; }
.range { stroke: #57606a; stroke-width: 1.5; }
.tick { stroke: #8c959f; stroke-opacity: 0.3; }
.one { stroke: #8c959f; }
@media (prefers-color-scheme: dark) {
text { fill: #9da7b1; }
.title { fill: #e6edf3; }
.range { stroke: #c9d1d9; }
}
</style>
${text(MARGIN, MARGIN + 8, "How many times as fast as the base, whose name is in brackets; right is faster", "head")}
${ticks.join("\n")}
${drawn.join("\n")}
${text(MARGIN, height - 6, versions, "value")}
</svg>
`;
}

/** @param {CaseResult} one */
function titleOf({ workload, name, base, rateUnit }) {
  return `${workload}: ${name} (${base}${rateUnit ? "" : ", by cost"})`;
}

/**
 * The ratios of all but the base itself; costs upside down, so that more is always better.
 *
 * @param {CaseResult} one
 * @returns {Bar[]}
 */
function barsOf(one) {
  const figure = one.rateUnit && one.workload !== "churn" ? "rate" : "cost";
  return one.rows.flatMap((row) => {
    const base = baseOf(one, row.name);
    const found = base === undefined || base === row ? [] : ratios(row.samples, base.samples, figure);
    const range = spread(figure === "rate" ? found : found.map((ratio) => 1 / ratio));
    return range === undefined ? [] : [{ text: row.name.replace("@", " on Node "), name: row.name, ...range }];
  });
}

/**
 * @param {Bar} bar
 * @param {(ratio: number) => number} x
 * @param {number} y
 */
function drawBar({ text: label, name, median, min, max }, x, y) {
  const [from, to] = [Math.min(x(1), x(median)), Math.max(x(1), x(median))];
  const isOurs = /^(contextvars|needed|taken|iterated|read|readexactly|readInto|eager)@/.test(name);
  return [
    text(MARGIN + 8, y + 11, label, "label"),
    `<rect class="${isOurs ? "ours" : "bar"}" x="${round(from)}" y="${y + 2}" width="${round(Math.max(to - from, 1))}" height="${ROW - 5}"/>`,
    `<line class="range" x1="${round(x(min))}" x2="${round(x(max))}" y1="${y + 7.5}" y2="${y + 7.5}"/>`,
    text(LABELS + CHART + 8, y + 11, ratioText(median), "value"),
  ].join("\n");
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {string} className
 */
function text(x, y, content, className) {
  const safe = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text class="${className}" x="${round(x)}" y="${round(y)}">${safe}</text>`;
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

if (import.meta.filename === process.argv[1]) {
  const [, , input = "bench/results/latest.json", output = "bench/results/latest.svg"] = process.argv;
  writeFileSync(output, plot(readJson(input)));
}
