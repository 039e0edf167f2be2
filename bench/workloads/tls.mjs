/** Echo and bulk through TLS. The client is on Node, and encrypts as well: look at the processor time, not the rate. */
import { everyNode, python, throughput, underLoad } from "../lib/contenders.mjs";
import { perMebibyte } from "./bulk.mjs";

/** @type {import("../run.mjs").Workload} */
export function tls(peers, isQuick) {
  if (isQuick) {
    return [];
  }
  const units = { base: "net", costUnit: "µs cpu" };
  /** @param {string} mode */
  const servers = (mode) => [
    ...everyNode(peers, "net", mode),
    ...everyNode(peers, "contextvars", mode),
    ...python(peers, mode),
  ];
  return [
    {
      name: "echo 1 KiB, 10 connections",
      ...units,
      rateUnit: "round trips/s",
      contenders: underLoad(
        peers,
        { mode: "echo", size: 1024, connections: 10, tls: true },
        throughput,
        servers("echo-tls"),
      ),
    },
    {
      name: "up",
      ...units,
      rateUnit: "MiB/s",
      contenders: underLoad(peers, { mode: "up", tls: true }, perMebibyte, servers("up-tls")),
    },
    {
      name: "down",
      ...units,
      rateUnit: "MiB/s",
      contenders: underLoad(peers, { mode: "down", tls: true }, perMebibyte, servers("down-tls")),
    },
  ];
}
