/** Who takes part: a server on each Node, in CPython, on uvloop, in Go, each under the load client. */
import { clientCommand } from "./client.mjs";
import { CLIENT_CORE, measure, Program, SERVER_CORE } from "./programs.mjs";

/**
 * @typedef {import("./peers.mjs").Peers} Peers
 * @typedef {import("./programs.mjs").Command} Command
 * @typedef {import("./rounds.mjs").Contender} Contender
 * @typedef {import("./rounds.mjs").Turns} Turns
 * @typedef {import("./statistics.mjs").Sample} Sample
 */

/** @typedef {{ name: string, command: Command }} Server */

/**
 * @typedef {object} Load
 * @property {string} mode
 * @property {number} [connections]
 * @property {"bytes" | "lines" | "frames"} [kind]
 * @property {number} [size] Of one message, line or frame, in bytes.
 * @property {number} [batch] How many lines or frames leave at once.
 * @property {number} [rate] Messages a second, in the open loop.
 * @property {number} [seconds] Other than the run's.
 * @property {number} [warmup] Other than the run's.
 * @property {boolean} [tls]
 */

/**
 * A server in JavaScript on every Node of the run.
 *
 * @param {Peers} peers
 * @param {string} file In bench/servers, without its ending.
 * @param {string} mode
 * @param {string} [label]
 * @returns {Server[]}
 */
export function everyNode(peers, file, mode, label = file) {
  return peers.nodes.map((node) => ({
    name: `${label}@${node.name}`,
    command: { program: node.program, args: ["--expose-gc", `bench/servers/${file}.mjs`, ...mode.split(" ")] },
  }));
}

/**
 * The same on the run's first Node only.
 *
 * @type {typeof everyNode}
 */
export function mainNode(peers, ...rest) {
  return everyNode({ ...peers, nodes: [peers.main] }, ...rest);
}

/**
 * asyncio streams, on CPython's own event loop and on uvloop's.
 *
 * @param {Peers} peers
 * @param {string} mode
 * @param {string} [suffix]
 * @returns {Server[]}
 */
export function python({ python: found }, mode, suffix = "") {
  if (found === null) {
    return [];
  }
  const file = "bench/servers/asyncio_streams.py";
  const asyncio = { name: `asyncio${suffix}`, command: { program: found.program, args: [file, ...mode.split(" ")] } };
  const uvloop = {
    name: `uvloop${suffix}`,
    command: { program: found.program, args: [file, "--uvloop", ...mode.split(" ")] },
  };
  return found.uvloop === null ? [asyncio] : [asyncio, uvloop];
}

/**
 * @param {Peers} peers
 * @param {string} mode
 * @param {string} [suffix]
 * @returns {Server[]}
 */
export function go({ go: found }, mode, suffix = "") {
  return found === null ? [] : [{ name: `go${suffix}`, command: { program: found.program, args: mode.split(" ") } }];
}

/**
 * Servers that stay up for all rounds, each under the same load when its turn comes.
 *
 * @param {Peers} peers
 * @param {Load} load
 * @param {(result: any) => Sample} toSample
 * @param {Server[]} servers
 * @returns {Contender[]}
 */
export function underLoad(peers, load, toSample, servers) {
  return servers.map(({ name, command }) => ({
    name,
    open: async () => {
      const server = new Program(command, SERVER_CORE);
      const port = Number(await server.line());
      const sample = () => measure(loadCommand(peers, load, port, server.pid), CLIENT_CORE);
      // Does not count: compiling what runs often takes longer than the warm-up of a round.
      await sample();
      return {
        sample: async () => toSample(await sample()),
        close: () => server.stop(),
      };
    },
  }));
}

/**
 * The load client, told what to do to a server.
 *
 * @param {Peers} peers
 * @param {Load} load
 * @param {number} port
 * @param {number} pid
 * @returns {Command}
 */
export function loadCommand({ seconds, warmup }, { mode, tls = false, ...load }, port, pid) {
  const options = Object.entries({ seconds, warmup, ...load, port, pid }).map(([key, value]) => `${key}=${value}`);
  return clientCommand([mode, ...options, ...(tls ? ["tls=1"] : [])], tls);
}

/**
 * A program that measures itself: one process for each sample, for what one has run spoils the next.
 *
 * @param {string} name
 * @param {Command} command
 * @param {(result: any) => Sample} toSample
 * @returns {Contender}
 */
export function selfMeasuring(name, command, toSample) {
  return {
    name,
    open: async () => ({
      sample: async () => toSample(await measure(command, SERVER_CORE)),
      close: async () => {},
    }),
  };
}

/**
 * Operations a second, and microseconds of the server's processor time for each.
 *
 * @param {{ operations: number, seconds: number, serverCpu: number, clientBusy: number }} result
 * @returns {Sample}
 */
export function throughput({ operations, seconds, serverCpu, clientBusy }) {
  return { rate: operations / seconds, cost: serverCpu / 1000 / operations, busy: clientBusy };
}
