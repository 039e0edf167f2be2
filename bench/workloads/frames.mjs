/**
 * Frames of a 4-byte length and a body, 100 in a batch, 10 connections; two reads and two writes for each, or a codec:
 * iterated, and taken with `tryReceive()` and sent with `sendAll()`. By hand without promises, and iterated.
 */
import { everyNode, go, mainNode, python, throughput, underLoad } from "../lib/contenders.mjs";

const SIZES = [64, 16 + 4, 256 + 4, 4096 + 4]; // bytes, with the length

/** @type {import("../run.mjs").Workload} */
export function frames(peers, isQuick) {
  return (isQuick ? SIZES.slice(0, 1) : SIZES).map((size) => ({
    name: `4 + ${size - 4} B`,
    base: "corked",
    rateUnit: "frames/s",
    costUnit: "µs cpu",
    contenders: underLoad(peers, { mode: "echo", kind: "frames", size, batch: 100, connections: 10 }, throughput, [
      ...mainNode(peers, "net-corked", "frames", "corked"),
      ...mainNode(peers, "net-await", "frames", "by hand, iterated"),
      ...everyNode(peers, "contextvars", "frames"),
      ...mainNode(peers, "contextvars", "frames-taken", "taken"),
      ...mainNode(peers, "contextvars", "frames-codec", "codec"),
      ...mainNode(peers, "contextvars", "frames-codec-taken", "codec taken"),
      ...(isQuick ? [] : [...python(peers, "frames"), ...go(peers, "frames")]),
    ]),
  }));
}
