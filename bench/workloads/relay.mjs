/** A proxy: what `relay()` costs beside Node's `pipeline()`, for bytes one way and for round trips. */
import { everyNode, throughput, underLoad } from "../lib/contenders.mjs";
import { perMebibyte } from "./bulk.mjs";

/** @type {import("../run.mjs").Workload} */
export function relay(peers, isQuick) {
  if (isQuick) {
    return [];
  }
  /** @param {string} target */
  const servers = (target) => [
    ...everyNode(peers, "relay", `pipeline ${target}`, "pipeline"),
    ...everyNode(peers, "relay", `relay ${target}`, "relay"),
  ];
  const units = { base: "pipeline", costUnit: "µs cpu" };
  return [
    {
      name: "up",
      ...units,
      rateUnit: "MiB/s",
      times: 3,
      contenders: underLoad(peers, { mode: "up" }, perMebibyte, servers("up")),
    },
    {
      name: "round trips of 1 KiB, 10 connections",
      ...units,
      rateUnit: "round trips/s",
      contenders: underLoad(peers, { mode: "echo", size: 1024, connections: 10 }, throughput, servers("echo")),
    },
  ];
}
