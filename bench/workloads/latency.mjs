/**
 * Open loop: 1 KiB messages leave by the clock on 10 connections, whether or not the server keeps up. The delay counts
 * from when a message was due, so that waiting behind others shows.
 */
import { everyNode, go, python, underLoad } from "../lib/contenders.mjs";

/** A quarter, half and three quarters of what raw net answers on a machine such as that of the kept results. */
const RATES = [20_000, 40_000, 60_000];
/** One pause of a few milliseconds, while the server is still being compiled, would be all of a short sample's p99. */
const SECONDS = 1.5;
const WARMUP = 0.5; // seconds

/** @type {import("../run.mjs").Workload} */
export function latency(peers, isQuick) {
  return isQuick
    ? []
    : RATES.map((rate) => ({
        name: `${rate / 1000} k messages/s`,
        base: "net",
        costUnit: "µs p99",
        contenders: underLoad(peers, load(peers, rate), toSample, [
          ...everyNode(peers, "net", "echo"),
          ...everyNode(peers, "contextvars", "echo"),
          ...python(peers, "echo"),
          ...go(peers, "echo"),
        ]),
      }));
}

/**
 * @param {import("../lib/peers.mjs").Peers} peers
 * @param {number} rate
 */
function load({ seconds, warmup }, rate) {
  const time = { seconds: Math.max(seconds, SECONDS), warmup: Math.max(warmup, WARMUP) };
  return { mode: "open", size: 1024, connections: 10, rate, ...time };
}

/**
 * @param {{ p50: number, p99: number, p999: number }} result
 * @returns {import("../lib/statistics.mjs").Sample}
 */
function toSample({ p50, p99, p999 }) {
  return { cost: p99, more: { "p50 µs": p50, "p99.9 µs": p999 } };
}
