/**
 * How samples become figures. On a busy machine a single rate says little; a ratio to what ran a moment before says more.
 */

/**
 * @typedef {object} Sample What one turn of one contender gave; the higher the rate and the lower the cost, the better.
 * @property {number} [rate] Operations a second.
 * @property {number} [cost] Of one operation: processor time, or bytes, or a delay.
 * @property {number} [busy] The load client's share of its core; above 0.9 the client is what is measured.
 * @property {Record<string, number>} [more] Figures that are printed, not compared.
 */

/** @typedef {{ median: number, min: number, max: number }} Spread */

/**
 * @param {number[]} values At least one.
 * @returns {number}
 */
export function median(values) {
  if (values.length === 0) {
    throw new RangeError("no values have no median");
  }
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = /** @type {number} */ (sorted[middle]);
  return sorted.length % 2 === 1 ? upper : /** @type {number} */ (sorted[middle - 1] + upper) / 2;
}

/**
 * @param {number[]} values
 * @returns {Spread | undefined} Nothing for nothing.
 */
export function spread(values) {
  return values.length === 0
    ? undefined
    : { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * The ratios of a contender's samples to those of another in the same rounds.
 *
 * A round that either of them missed has no ratio: the one before or after ran under other conditions.
 *
 * @param {(Sample | null)[]} samples One for each round.
 * @param {(Sample | null)[]} base
 * @param {"rate" | "cost"} figure
 * @returns {number[]}
 */
export function ratios(samples, base, figure) {
  return samples.flatMap((sample, round) => {
    const [ours, theirs] = [sample?.[figure], base[round]?.[figure]];
    return ours === undefined || theirs === undefined || theirs === 0 ? [] : [ours / theirs];
  });
}

/**
 * The orders of the rounds: each contender starts one round, so that none always follows the same neighbour.
 *
 * @template T
 * @param {readonly T[]} list
 * @param {number} round
 * @returns {T[]}
 */
export function rotated(list, round) {
  const start = list.length === 0 ? 0 : round % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}
