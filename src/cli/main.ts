#!/usr/bin/env node
/** `npx contextvars`: the commands and their arguments. */
import { parseArgs } from "node:util";
import * as asyncio from "../asyncio/index.ts";
import { CommandError } from "./errors.ts";
import type { Place } from "./streams.ts";

const HELP = `Usage: contextvars COMMAND [OPTION]...

Tasks of a running Node process that uses contextvars/asyncio; the process needs no flag:
  ps PID             list the tasks, where they are suspended and what they wait for
  pstree PID         show which task waits for which
  where PID TASK     show one task, given by its name or ID
      --json           print JSON
      --watch [SEC]    repeat ps every SEC seconds, 2 by default
      --port PORT      the port of the process's inspector, if it is not found
  The command opens the inspector of the process by SIGUSR1, on the loopback address only, and closes it afterwards.
  The process reports this on its standard error.

Connections:
  echo PORT          send back everything that clients send
  nc HOST PORT       connect standard input and output to a server; the end of the input is sent as an EOF
  nc -l PORT         listen, and connect standard input and output to the first client
      --tls            use TLS: a client checks the host name; a server needs --key FILE and --cert FILE
      --ca FILE        trust this certificate authority
      --host HOST      the address to listen at, 127.0.0.1 by default
      --unix PATH      use a Unix socket instead of host and port

Others:
  repl               start Node's REPL with asyncio and contextvars loaded
  doctor             check the runtime, the installed copies, and whether Contexts propagate
  help               print this text

Exit status: 0; 1 if the command failed; 2 if its arguments are wrong; 130 after Ctrl-C.
`;

const OPTIONS = {
  help: { type: "boolean", short: "h" },
  json: { type: "boolean" },
  watch: { type: "boolean" },
  port: { type: "string" },
  tls: { type: "boolean" },
  ca: { type: "string" },
  key: { type: "string" },
  cert: { type: "string" },
  host: { type: "string" },
  unix: { type: "string" },
  listen: { type: "boolean", short: "l" },
} as const;

type Values = ReturnType<typeof parsed>["values"];

function parsed(args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
}

const commands: Readonly<Record<string, (args: readonly string[], values: Values) => Promise<void>>> = {
  async ps(args, values) {
    const { psTable, tasksOf } = await import("./tasks.ts");
    const [pid] = numbers("ps PID", args.slice(0, 1), ["PID"]) as [number];
    const seconds = values.watch === true ? Number(args[1] ?? 2) : 0;
    if (!(seconds >= 0) || args.length > (values.watch === true ? 2 : 1)) {
      throw new CommandError("ps takes a PID, and --watch a number of seconds", 2);
    }
    do {
      const tasks = await tasksOf(pid, portOf(values));
      print(values.json === true ? JSON.stringify(tasks, null, 2) : psTable(pid, tasks));
      await asyncio.sleep(seconds);
    } while (values.watch === true);
  },

  async pstree(args, values) {
    const { psTree, tasksOf } = await import("./tasks.ts");
    const [pid] = numbers("pstree PID", args, ["PID"]) as [number];
    const tasks = await tasksOf(pid, portOf(values));
    print(values.json === true ? JSON.stringify(tasks, null, 2) : psTree(tasks));
  },

  async where(args, values) {
    const { taskNamed, tasksOf, whereText } = await import("./tasks.ts");
    const [pid] = numbers("where PID TASK", args.slice(0, 1), ["PID"]) as [number];
    const [, wanted] = args;
    if (wanted === undefined || args.length > 2) {
      throw new CommandError("where takes a PID and the name or id of a task", 2);
    }
    const tasks = await tasksOf(pid, portOf(values));
    const task = taskNamed(wanted, tasks);
    print(values.json === true ? JSON.stringify(task, null, 2) : whereText(task, tasks));
  },

  async echo(args, values) {
    const { echo, serverTls } = await import("./streams.ts");
    const place = placeToListen("echo PORT", args, values);
    await echo(place, values.tls === true ? serverTls({ key: values.key, cert: values.cert }) : {});
  },

  async nc(args, values) {
    const { connect, listenOnce, serverTls } = await import("./streams.ts");
    if (values.listen === true) {
      const place = placeToListen("nc -l PORT", args, values);
      await listenOnce(place, values.tls === true ? serverTls({ key: values.key, cert: values.cert }) : {});
      return;
    }
    const { readFileSync } = await import("node:fs");
    const host = values.unix === undefined ? args[0] : "";
    const [port] = values.unix === undefined ? numbers("nc HOST PORT", args.slice(1), ["PORT"]) : [0];
    const ca = values.ca === undefined ? {} : { ca: readFileSync(values.ca) };
    const tls = values.tls === true ? { ssl: ca, serverHostname: values.host ?? host ?? "" } : {};
    await connect({ host: host ?? "", port: port as number, path: values.unix }, tls);
  },

  async repl() {
    const { repl } = await import("./repl.ts");
    await repl();
  },

  async doctor(_args, values) {
    const { examine, findingsText } = await import("./doctor.ts");
    const findings = await examine();
    print(values.json === true ? JSON.stringify(findings, null, 2) : findingsText(findings));
    process.exitCode = findings.every(({ isWell }) => isWell) ? 0 : 1;
  },

  async help() {
    process.stdout.write(HELP);
  },
};

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/**
 * Returns the arguments as whole numbers. @throws {CommandError} If one is not a whole number, or their number is
 * wrong.
 */
function numbers(usage: string, args: readonly string[], names: readonly string[]): number[] {
  const values = args.map(Number);
  if (args.length !== names.length || !values.every((value) => Number.isInteger(value) && value >= 0)) {
    throw new CommandError(`usage: contextvars ${usage}; ${names.join(" and ")} must be an integer`, 2);
  }
  return values;
}

function portOf({ port }: Values): number | undefined {
  return port === undefined ? undefined : numbers("... --port PORT", [port], ["PORT"])[0];
}

function placeToListen(usage: string, args: readonly string[], { host, unix }: Values): Place {
  const [port] = unix === undefined ? numbers(usage, args, ["PORT"]) : [0];
  return { host: host ?? "127.0.0.1", port: port as number, path: unix };
}

/** Runs a command, and prints its failure as one line. */
async function main(args: readonly string[]): Promise<void> {
  const [name = "help", ...rest] = args;
  const command = ["--help", "-h"].includes(name)
    ? commands["help"]
    : Object.hasOwn(commands, name)
      ? commands[name]
      : undefined;
  if (command === undefined) {
    throw new CommandError(`there is no command ${name}; contextvars help lists the commands`, 2);
  }
  let values: Values;
  let positionals: string[];
  try {
    ({ values, positionals } = parsed(rest));
  } catch (error) {
    throw new CommandError((error as Error).message, 2);
  }
  await (values.help === true ? commands["help"]?.([], values) : command(positionals, values));
}

try {
  await asyncio.run(() => main(process.argv.slice(2)));
} catch (error) {
  if (error instanceof asyncio.KeyboardInterrupt) {
    process.exitCode = 130;
  } else {
    process.stderr.write(`contextvars: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof CommandError ? error.status : 1;
  }
}
