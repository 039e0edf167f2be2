/** Runs a case: all contenders are opened, take turns for so many rounds, and are closed. */
import { say } from "../../scripts/support.mjs";
import { rotated } from "./statistics.mjs";

/** @typedef {import("./statistics.mjs").Sample} Sample */

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {() => Promise<Turns>} open
 */

/**
 * @typedef {object} Turns
 * @property {() => Promise<Sample>} sample
 * @property {() => Promise<void>} close
 */

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} base The contender to which the others are held; on another Node, its namesake there.
 * @property {string} [rateUnit]
 * @property {string} [costUnit]
 * @property {number} [rounds] No more than these, where the run has more.
 * @property {number} [times] So many times as often, where single samples differ widely.
 * @property {Contender[]} contenders
 */

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {(Sample | null)[]} samples One for each round; null where it failed.
 * @property {string} [error] The first failure.
 */

/**
 * @param {Contender[]} contenders
 * @param {number} rounds
 * @returns {Promise<Row[]>}
 */
export async function runRounds(contenders, rounds) {
  /** @type {Map<Contender, Turns>} */
  const open = new Map();
  const rows = new Map(contenders.map(({ name }) => [name, /** @type {Row} */ ({ name, samples: [] })]));
  try {
    for (const contender of contenders) {
      const turns = await orFailure(rowOf(contender), () => contender.open());
      if (turns !== null) {
        open.set(contender, turns);
      }
    }
    for (let round = 0; round < rounds; round++) {
      for (const contender of rotated(contenders, round)) {
        const row = rowOf(contender);
        const turns = open.get(contender);
        row.samples[round] = turns === undefined ? null : await orFailure(row, () => turns.sample());
      }
    }
  } finally {
    await Promise.all([...open.values()].map((turns) => turns.close()));
  }
  return [...rows.values()];

  /** @param {Contender} contender */
  function rowOf({ name }) {
    return /** @type {Row} */ (rows.get(name));
  }
}

/**
 * One that fails must not take the others' figures along, nor go unseen.
 *
 * @template T
 * @param {Row} row
 * @param {() => Promise<T>} action
 * @returns {Promise<T | null>}
 */
async function orFailure(row, action) {
  try {
    return await action();
  } catch (error) {
    row.error ??= String(error);
    say(`  ${row.name}: ${error}`);
    return null;
  }
}
