/** The same on every runtime, each beside what is its own: raw `node:net`, a bare promise, `AsyncLocalStorage`. */
import { obtainRuntime, versionOf } from "../../scripts/obtain.mjs";
import { say } from "../../scripts/support.mjs";
import { selfMeasuring, throughput, underLoad } from "../lib/contenders.mjs";
import { callersOn } from "./client.mjs";

/** @typedef {{ name: string, program: string, flags: string[] }} Runtime */

const DENO = ["run", "--allow-all", "--no-check", "--no-lock"];
/** How each starts a program. @type {Record<string, string[]>} */
const FLAGS = {
  20: ["--expose-gc"],
  22: ["--expose-gc"],
  24: ["--expose-gc"],
  26: ["--expose-gc"],
  bun: [],
  deno: DENO,
};
const ROUNDS = 3;

export const RUNTIMES = Object.keys(FLAGS);

/** @type {import("../run.mjs").Workload} */
export function runtimes(peers, isQuick) {
  if (isQuick) {
    return [];
  }
  const found = findRuntimes();
  /** @type {(label: string, file: string, mode: string) => import("../lib/contenders.mjs").Server[]} */
  const servers = (label, file, mode) =>
    found.map(({ name, program, flags }) => ({
      name: `${label}@${name}`,
      command: { program, args: [...flags, `bench/servers/${file}.mjs`, mode] },
    }));
  /** @type {(label: string, file: string, ...args: string[]) => import("../lib/rounds.mjs").Contender[]} */
  const alone = (label, file, ...args) =>
    found.map(({ name, program, flags }) =>
      selfMeasuring(
        `${label}@${name}`,
        { program, args: [...flags, `bench/micro/${file}.mjs`, ...args] },
        (result) => result,
      ),
    );
  /** @type {(name: string, load: import("../lib/contenders.mjs").Load, file: string, mode: string, our: string) => any} */
  const server = (name, load, file, mode, our) => ({
    name,
    base: "net",
    rateUnit: "a second",
    costUnit: "µs cpu",
    rounds: ROUNDS,
    contenders: underLoad(peers, load, throughput, [
      ...servers("net", file, mode),
      ...servers("contextvars", "contextvars", our),
    ]),
  });
  const lines = /** @type {const} */ ({ mode: "echo", kind: "lines", size: 64, batch: 100, connections: 10 });
  const frames = /** @type {const} */ ({ mode: "echo", kind: "frames", size: 64, batch: 100, connections: 10 });
  return [
    server("echo", { mode: "echo", size: 1024, connections: 10 }, "net", "echo", "echo"),
    server("lines", lines, "net-corked", "lines", "lines-iterated"),
    server("frames", frames, "net-corked", "frames", "frames-taken"),
    server("churn", { mode: "churn", size: 64, connections: 10 }, "net", "lines", "lines"),
    {
      name: "client",
      base: "net",
      rateUnit: "a second",
      costUnit: "µs cpu",
      rounds: ROUNDS,
      contenders: callersOn(peers, found),
    },
    {
      name: "create and await",
      base: "bare",
      costUnit: "ns",
      rounds: ROUNDS,
      contenders: [...alone("bare", "tasks", "create", "bare"), ...alone("contextvars", "tasks", "create")],
    },
    {
      name: "get",
      base: "getStore",
      costUnit: "ns",
      rounds: ROUNDS,
      contenders: [...alone("getStore", "context", "getStore"), ...alone("contextvars", "context", "get", "10")],
    },
    {
      name: "set",
      base: "contextvars",
      costUnit: "ns",
      rounds: ROUNDS,
      contenders: alone("contextvars", "context", "set", "10"),
    },
  ];
}

/** @returns {Runtime[]} */
function findRuntimes() {
  return Object.entries(FLAGS).flatMap(([name, flags]) => {
    const program = obtainRuntime(/\d/.test(name) ? `node${name}` : name);
    if (program === undefined || versionOf(program) === undefined) {
      say(`no ${name}: left out`);
      return [];
    }
    return [{ name, program, flags }];
  });
}
