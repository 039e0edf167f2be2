/** What connections hold: many that wait for a line, and one that has stopped reading what the server writes. */
import { clientCommand } from "../lib/client.mjs";
import { everyNode, go, loadCommand, python } from "../lib/contenders.mjs";
import { CLIENT_CORE, measure, Program, SERVER_CORE } from "../lib/programs.mjs";

const FIRST = 1000; // connections, before it counts: code is compiled, tables grow
const COUNTED = 4000; // connections
const SLOW_TIME = 3; // seconds
const ROUNDS = 2;
const MIB = 1024 * 1024;

/** @typedef {import("../lib/contenders.mjs").Server} Server */

/** @type {import("../run.mjs").Workload} */
export function idleMemory(peers, isQuick) {
  return isQuick
    ? []
    : [
        {
          name: `${COUNTED} waiting for a line`,
          base: "net",
          costUnit: "bytes each",
          rounds: ROUNDS,
          contenders: freshServers(
            [
              ...everyNode(peers, "net", "lines"),
              ...everyNode(peers, "contextvars", "lines"),
              ...python(peers, "lines"),
              ...go(peers, "lines"),
            ],
            async (server, port) => {
              const first = await idleClient(port, FIRST);
              const before = await server.memory();
              const counted = await idleClient(port, COUNTED);
              const after = await server.memory();
              await Promise.all([first.stop(), counted.stop()]);
              return {
                cost: (after.resident - before.resident) / COUNTED,
                more: { "heap bytes": (after.heap - before.heap) / COUNTED },
              };
            },
          ),
        },
      ];
}

/** @type {import("../run.mjs").Workload} */
export function slowReader(peers, isQuick) {
  return isQuick
    ? []
    : [
        {
          name: `a client that reads nothing for ${SLOW_TIME} s`,
          base: "net",
          costUnit: "MiB more at the peak",
          rounds: ROUNDS,
          contenders: freshServers(
            [
              ...everyNode(peers, "net", "down"),
              ...everyNode(peers, "contextvars", "down"),
              ...python(peers, "down"),
              ...go(peers, "down"),
            ],
            async (server, port) => {
              const before = await server.memory();
              await measure(loadCommand(peers, { mode: "slow", seconds: SLOW_TIME }, port, server.pid), CLIENT_CORE);
              const after = await server.memory();
              return { cost: Math.max(after.peak - before.peak, 0) / MIB };
            },
          ),
        },
      ];
}

/**
 * Memory that a round has taken stays taken: each sample gets a server of its own.
 *
 * @param {Server[]} servers
 * @param {(server: Program, port: number) => Promise<import("../lib/statistics.mjs").Sample>} sample
 * @returns {import("../lib/rounds.mjs").Contender[]}
 */
function freshServers(servers, sample) {
  return servers.map(({ name, command }) => ({
    name,
    open: async () => ({
      sample: async () => {
        const server = new Program(command, SERVER_CORE);
        try {
          return await sample(server, Number(await server.line()));
        } finally {
          await server.stop();
        }
      },
      close: async () => {},
    }),
  }));
}

/**
 * @param {number} port
 * @param {number} connections
 */
async function idleClient(port, connections) {
  const client = new Program(
    clientCommand(["idle", `port=${port}`, `connections=${connections}`, "size=64"]),
    CLIENT_CORE,
  );
  await client.line();
  return client;
}
