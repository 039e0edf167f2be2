/** One connection, one way, as fast as it goes: up by each kind of read, down by writes of 64 KiB with drain. */
import { everyNode, go, mainNode, python, throughput, underLoad } from "../lib/contenders.mjs";

const MIB = 1024 * 1024;

/** @type {import("../run.mjs").Workload} */
export function bulk(peers, isQuick) {
  const up = {
    name: "up",
    ...units,
    contenders: underLoad(peers, { mode: "up" }, perMebibyte, [
      ...everyNode(peers, "net", "up"),
      ...everyNode(peers, "contextvars", "up", "read"),
      ...mainNode(peers, "contextvars", "up-exactly", "readexactly"),
      ...mainNode(peers, "contextvars", "up-into", "readInto"),
      ...(isQuick ? [] : [...python(peers, "up", " read"), ...python(peers, "up-exactly", " readexactly")]),
      ...(isQuick ? [] : go(peers, "up")),
    ]),
  };
  const down = {
    name: "down",
    ...units,
    contenders: underLoad(peers, { mode: "down" }, perMebibyte, [
      ...everyNode(peers, "net", "down"),
      ...everyNode(peers, "contextvars", "down"),
      ...python(peers, "down"),
      ...go(peers, "down"),
    ]),
  };
  // Over the loopback a sender is twice as fast in one round as in another: too much for a few short samples.
  return isQuick ? [up] : [up, down].map((each) => ({ ...each, times: 3 }));
}

const units = { base: "net", rateUnit: "MiB/s", costUnit: "µs cpu" };

/** @type {typeof throughput} */
export function perMebibyte({ operations, ...result }) {
  return throughput({ ...result, operations: operations / MIB });
}
