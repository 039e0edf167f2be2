/** The other side: clients of 1 KiB round trips against the echo server of the load client; they measure themselves. */
import { clientCommand } from "../lib/client.mjs";
import { throughput } from "../lib/contenders.mjs";
import { CLIENT_CORE, measure, Program, SERVER_CORE } from "../lib/programs.mjs";

const SIZE = 1024; // bytes

/** @type {import("../run.mjs").Workload} */
export function client(peers, isQuick) {
  return isQuick
    ? []
    : [1, 10, 100].map((connections) => ({
        name: `1 KiB, ${connections} ${connections === 1 ? "connection" : "connections"}`,
        base: "net",
        rateUnit: "round trips/s",
        costUnit: "µs cpu",
        contenders: inTurn(peers, connections, callers(peers)),
      }));
}

/** @typedef {{ name: string, command: import("../lib/programs.mjs").Command }} Caller */

/**
 * Raw sockets and this package on other runtimes, 10 connections.
 *
 * @param {import("../lib/peers.mjs").Peers} peers
 * @param {{ name: string, program: string, flags: string[] }[]} runtimes
 */
export function callersOn(peers, runtimes) {
  const all = ["net", "contextvars"].flatMap((file) =>
    runtimes.map(({ name, program, flags }) => ({
      name: `${file}@${name}`,
      command: { program, args: [...flags, `bench/callers/${file}.mjs`] },
    })),
  );
  return inTurn(peers, 10, all);
}

/**
 * @param {import("../lib/peers.mjs").Peers} peers
 * @param {number} connections
 * @param {Caller[]} callers
 * @returns {import("../lib/rounds.mjs").Contender[]}
 */
function inTurn({ seconds, warmup }, connections, callers) {
  return callers.map(({ name, command }) => ({
    name,
    open: async () => {
      const server = new Program(clientCommand(["serve"]), CLIENT_CORE);
      const port = await server.line();
      const rest = [port, connections, SIZE, seconds, warmup + START].map(String);
      return {
        sample: async () => throughput(await measure({ ...command, args: [...command.args, ...rest] }, SERVER_CORE)),
        close: () => server.stop(),
      };
    },
  }));
}

/** A client is a new process in each round, so it has to be compiled as well. */
const START = 0.3; // seconds

/**
 * @param {import("../lib/peers.mjs").Peers} peers
 * @returns {Caller[]}
 */
function callers({ nodes, main, python }) {
  /** @type {(program: string, file: string, ...args: string[]) => import("../lib/programs.mjs").Command} */
  const command = (program, file, ...args) => ({ program, args: [`bench/callers/${file}`, ...args] });
  const ours = nodes.flatMap(({ name, program }) => [
    { name: `net@${name}`, command: command(program, "net.mjs") },
    { name: `contextvars@${name}`, command: command(program, "contextvars.mjs") },
  ]);
  const onread = { name: `onread@${main.name}`, command: command(main.program, "net-onread.mjs") };
  if (python === null) {
    return [...ours, onread];
  }
  const asyncio = { name: "asyncio", command: command(python.program, "asyncio_client.py") };
  const uvloop = { name: "uvloop", command: command(python.program, "asyncio_client.py", "--uvloop") };
  return [...ours, onread, asyncio, ...(python.uvloop === null ? [] : [uvloop])];
}
