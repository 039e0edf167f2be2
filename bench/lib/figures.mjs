/** What goals are about: figures that one round gives, from our sample and theirs. */

/** @typedef {import("./statistics.mjs").Sample} Sample */
/** @typedef {(ours: Sample, theirs: Sample) => number | undefined} Figure Nothing where a sample lacks what is needed. */

/** @type {Figure} */
export const rateRatio = (ours, theirs) => quotient(ours.rate, theirs.rate);

/** @type {Figure} */
export const costRatioOf = (ours, theirs) => quotient(ours.cost, theirs.cost);

/** How many times as much processor time they need. @type {Figure} */
export const cpuRatio = (ours, theirs) => quotient(theirs.cost, ours.cost);

/** @type {Figure} */
export const costItself = (ours) => ours.cost;

/** The heap of a connection over that of theirs, in KB. @type {Figure} */
export const heapOver = (ours, theirs) => (heapOf(ours) - heapOf(theirs)) / 1000;

/** What is left of the time after one and a half times theirs. @type {Figure} */
export const beyondHalfAgain = (ours, theirs) => (ours.cost ?? Number.NaN) - 1.5 * (theirs.cost ?? Number.NaN);

/**
 * @param {number | undefined} a
 * @param {number | undefined} b
 */
function quotient(a, b) {
  return a === undefined || b === undefined || b === 0 ? undefined : a / b;
}

/** @param {Sample} sample */
function heapOf(sample) {
  return sample.more?.["heap bytes"] ?? Number.NaN;
}
