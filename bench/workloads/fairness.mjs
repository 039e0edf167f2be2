/** One connection floods the server with batches of 1000 lines; what do 50 others wait, who send one line each? */
import { everyNode, go, mainNode, python, underLoad } from "../lib/contenders.mjs";

/** @type {import("../run.mjs").Workload} */
export function fairness(peers, isQuick) {
  return isQuick
    ? []
    : [
        {
          name: "50 beside a flood",
          base: "corked",
          rateUnit: "answers/s",
          costUnit: "µs p99",
          contenders: underLoad(peers, { mode: "flood", size: 64, batch: 1000, connections: 51 }, toSample, [
            ...mainNode(peers, "net-corked", "lines", "corked"),
            ...everyNode(peers, "contextvars", "lines"),
            ...mainNode(peers, "contextvars", "lines-taken", "taken"),
            ...mainNode(peers, "net", "lines"),
            ...python(peers, "lines"),
            ...go(peers, "lines"),
          ]),
        },
      ];
}

/**
 * @param {{ operations: number, flooded: number, seconds: number, p50: number, p99: number }} result
 * @returns {import("../lib/statistics.mjs").Sample}
 */
function toSample({ operations, flooded, seconds, p50, p99 }) {
  return { rate: operations / seconds, cost: p99, more: { "p50 µs": p50, "flood lines/s": flooded / seconds } };
}
