/** Lines of 64 bytes in batches, each batch answered line by line before the next is sent; 10 connections. */
import { everyNode, go, mainNode, python, throughput, underLoad } from "../lib/contenders.mjs";

const BATCHES = [1, 10, 100, 1000];
const MAIN_BATCH = 100;

/** @type {import("../run.mjs").Workload} */
export function lines(peers, isQuick) {
  const batches = isQuick ? [MAIN_BATCH] : [MAIN_BATCH, ...BATCHES.filter((batch) => batch !== MAIN_BATCH)];
  return batches.map((batch) => ({
    name: batch === 1 ? "one line at a time" : `batches of ${batch}`,
    base: "corked",
    rateUnit: "lines/s",
    costUnit: "µs cpu",
    contenders: underLoad(peers, { mode: "echo", kind: "lines", size: 64, batch, connections: 10 }, throughput, [
      ...mainNode(peers, "net-corked", "lines", "corked"),
      ...everyNode(peers, "contextvars", "lines"),
      ...mainNode(peers, "contextvars", "lines-needed", "needed"),
      ...mainNode(peers, "contextvars", "lines-taken", "taken"),
      ...mainNode(peers, "net", "lines"),
      ...(isQuick ? [] : peersOf(peers, batch)),
    ]),
  }));
}

/**
 * @param {import("../lib/peers.mjs").Peers} peers
 * @param {number} batch
 */
function peersOf(peers, batch) {
  const all = [...python(peers, "lines"), ...go(peers, "lines")];
  return batch === MAIN_BATCH
    ? [
        ...all,
        ...mainNode(peers, "contextvars", "lines-iterated", "iterated"),
        ...mainNode(peers, "contextvars", "lines-codec", "codec"),
        ...mainNode(peers, "contextvars", "lines-codec-taken", "codec taken"),
        ...mainNode(peers, "net-corked", "text", "corked text"),
        ...mainNode(peers, "readline", "lines"),
      ]
    : all;
}
