/** Connections that come and go: connect, one line there and back, half-close, end. What counts is the cost of one. */
import { everyNode, go, python, throughput, underLoad } from "../lib/contenders.mjs";

/** @type {import("../run.mjs").Workload} */
export function churn(peers, isQuick) {
  return isQuick
    ? []
    : [
        {
          name: "one line each, 10 at a time",
          base: "net",
          rateUnit: "connections/s",
          costUnit: "µs cpu",
          contenders: underLoad(peers, { mode: "churn", size: 64, connections: 10 }, throughput, [
            ...everyNode(peers, "net", "lines"),
            ...everyNode(peers, "contextvars", "lines"),
            ...python(peers, "lines"),
            ...go(peers, "lines"),
          ]),
        },
      ];
}
