/** Closed loop: each connection sends a message and waits for the whole of it to come back. */
import { everyNode, go, mainNode, python, throughput, underLoad } from "../lib/contenders.mjs";

const KIB = 1024;
/** @type {[size: number, connections: number, quick?: boolean][]} */
const CASES = [
  [64, 1],
  [64, 10],
  [64, 100],
  [KIB, 1],
  [KIB, 10, true],
  [KIB, 100],
  [KIB, 1000],
  [16 * KIB, 10],
  [100 * KIB, 10],
];

/** @type {import("../run.mjs").Workload} */
export function echo(peers, isQuick) {
  const read = CASES.filter(([, , quick]) => quick || !isQuick).map(([size, connections]) => ({
    name: `${bytes(size)}, ${connections} ${connections === 1 ? "connection" : "connections"}`,
    ...units,
    contenders: underLoad(peers, { mode: "echo", size, connections }, throughput, [
      ...everyNode(peers, "net", "echo"),
      ...everyNode(peers, "contextvars", "echo"),
      ...(isQuick ? [] : [...mainNode(peers, "for-await", "echo"), ...python(peers, "echo"), ...go(peers, "echo")]),
    ]),
  }));
  if (isQuick) {
    return read;
  }
  const exactly = {
    name: "readexactly 1 KiB, 10 connections",
    ...units,
    contenders: underLoad(peers, { mode: "echo", size: KIB, connections: 10 }, throughput, [
      ...everyNode(peers, "net", "echo"),
      ...everyNode(peers, "contextvars", `exactly ${KIB}`),
      ...python(peers, `exactly ${KIB}`),
      ...go(peers, `exactly ${KIB}`),
    ]),
  };
  const contexts = {
    name: "by hand, with a context per connection",
    ...units,
    base: "bare",
    contenders: underLoad(peers, { mode: "echo", size: KIB, connections: 10 }, throughput, [
      ...everyNode(peers, "net-await", "bare", "bare"),
      ...everyNode(peers, "net-await", "context", "context"),
    ]),
  };
  return [...read, exactly, contexts, crowd(peers)];
}

const FEW = 10; // connections
const MANY = 10_000; // connections
const TIME_FOR_MANY = 1; // second

/**
 * How many times as much a message costs when many are connected; each has to be answered before it counts.
 *
 * @param {import("../lib/peers.mjs").Peers} peers
 * @returns {import("../lib/rounds.mjs").Case}
 */
function crowd(peers) {
  const servers = [...everyNode(peers, "net", "echo"), ...everyNode(peers, "contextvars", "echo")];
  const few = underLoad(peers, { mode: "echo", size: KIB, connections: FEW }, throughput, servers);
  const load = { mode: "echo", size: KIB, connections: MANY, seconds: TIME_FOR_MANY };
  const many = underLoad(peers, load, throughput, servers);
  return {
    name: "growth from 10 to 10,000 connections",
    base: "net",
    costUnit: "× the cost",
    rounds: 3,
    contenders: few.map(({ name, open }, i) => ({
      name,
      open: async () => {
        const [ofFew, ofMany] = [await open(), await many[i].open()];
        return {
          sample: async () => ({ cost: ((await ofMany.sample()).cost ?? 0) / ((await ofFew.sample()).cost ?? 0) }),
          close: async () => {
            await Promise.all([ofFew.close(), ofMany.close()]);
          },
        };
      },
    })),
  };
}

const units = { base: "net", rateUnit: "round trips/s", costUnit: "µs cpu" };

/** @param {number} size */
function bytes(size) {
  return size < KIB ? `${size} B` : `${size / KIB} KiB`;
}
