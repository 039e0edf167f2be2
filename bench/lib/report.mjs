/** Results as tables, for a terminal and for Markdown. */
import { ratios, spread } from "./statistics.mjs";

/**
 * @typedef {object} CaseResult
 * @property {string} workload
 * @property {string} name
 * @property {string} base
 * @property {string} [rateUnit]
 * @property {string} [costUnit]
 * @property {import("./rounds.mjs").Row[]} rows
 */

/**
 * The row to which another one is held: on the same Node if it took part there, else on the first.
 *
 * @param {CaseResult} result
 * @param {string} name
 */
export function baseOf({ base, rows }, name) {
  const node = /@\w+$/.exec(name)?.[0] ?? "";
  const names = [`${base}${node}`, base];
  return rows.find((row) => names.includes(row.name)) ?? rows.find((row) => row.name.startsWith(`${base}@`));
}

/**
 * @param {CaseResult} result
 * @returns {string}
 */
export function table(result) {
  const { workload, name, base, rateUnit, costUnit, rows } = result;
  const head = [
    `${workload}: ${name}`,
    ...(rateUnit ? [rateUnit, `: ${base}`, "min … max"] : []),
    ...(costUnit ? [costUnit, `: ${base}`, "min … max"] : []),
    ...(rateUnit && costUnit ? ["client busy"] : []),
  ];
  const lines = rows.map((row) => [
    row.error === undefined ? row.name : `${row.name} (failed)`,
    ...(rateUnit ? figures(result, row, "rate") : []),
    ...(costUnit ? figures(result, row, "cost") : []),
    ...(rateUnit && costUnit ? [share(row)] : []),
    ...more(row),
  ]);
  return aligned([head, ...lines]);
}

/** @param {import("./goals.mjs").Verdict[]} verdicts */
export function goalTable(verdicts) {
  const lines = verdicts.map(({ goal, figure, costRatio, verdict }) => [
    goal.what,
    goal.least === undefined ? `≤ ${inUnit(goal, goal.most ?? 0)}` : `≥ ${inUnit(goal, goal.least)}`,
    inUnit(goal, figure),
    costRatio === undefined ? "" : ratioText(costRatio),
    verdict,
    goal.means ?? "",
  ]);
  return [["goal", "wanted", "median", "cpu", "", "what it means"], ...lines];
}

/**
 * @param {import("./goals.mjs").Goal} goal
 * @param {number} figure
 */
function inUnit({ unit }, figure) {
  return unit === undefined ? ratioText(figure) : `${number(figure)} ${unit}`;
}

/**
 * @param {string[][]} lines
 * @returns {string}
 */
export function aligned(lines) {
  const widths = lines.reduce(
    (sofar, line) => line.map((cell, i) => Math.max(cell.length, sofar[i] ?? 0)).concat(sofar.slice(line.length)),
    /** @type {number[]} */ ([]),
  );
  return lines
    .map((line) =>
      line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "),
    )
    .join("\n");
}

/**
 * @param {string[][]} lines The first is the head.
 * @param {number[]} texts The columns that hold no figures.
 */
export function markdown([head = [], ...lines], texts = [0]) {
  const rule = head.map((_, i) => (texts.includes(i) ? "---" : "---:"));
  return [head, rule, ...lines].map((line) => `| ${line.join(" | ")} |`).join("\n");
}

/**
 * Three digits that mean something.
 *
 * @param {number} value
 */
export function number(value) {
  if (Math.abs(value) >= 1e6) {
    return `${(value / 1e6).toFixed(2)} M`;
  }
  if (Math.abs(value) >= 1000) {
    return `${(value / 1000).toFixed(1)} k`;
  }
  return value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
}

/** @param {number} value */
export function ratioText(value) {
  return value.toFixed(value >= 10 ? 1 : 2);
}

/**
 * @param {CaseResult} result
 * @param {import("./rounds.mjs").Row} row
 * @param {"rate" | "cost"} figure
 */
function figures(result, row, figure) {
  const value = spread(row.samples.flatMap((sample) => sample?.[figure] ?? []));
  const ratio = spread(ratios(row.samples, baseOf(result, row.name)?.samples ?? [], figure));
  return [
    value === undefined ? "–" : number(value.median),
    ratio === undefined ? "–" : ratioText(ratio.median),
    ratio === undefined ? "–" : `${ratioText(ratio.min)} … ${ratioText(ratio.max)}`,
  ];
}

/** @param {import("./rounds.mjs").Row} row */
function share({ samples }) {
  const busy = spread(samples.flatMap((sample) => sample?.busy ?? []));
  return busy === undefined ? "–" : `${Math.round(busy.median * 100)} %`;
}

/** @param {import("./rounds.mjs").Row} row */
function more({ samples }) {
  const names = Object.keys(samples.find((sample) => sample !== null)?.more ?? {});
  return names.map((name) => {
    const value = spread(samples.flatMap((sample) => sample?.more?.[name] ?? []));
    return value === undefined ? "" : `${name} ${number(value.median)}`;
  });
}
