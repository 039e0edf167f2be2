#!/usr/bin/env node
/** `npx contextvars`: the commands and their arguments. */
import { parseArgs } from "node:util";
import * as asyncio from "../asyncio/index.ts";
import { CommandError } from "./errors.ts";
import type { Place, TlsFiles } from "./streams.ts";

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
      --key, --cert    files with the own key and its certificate; a client may have them as well
      --ca FILE        trust this certificate authority
      --host HOST      the address to listen at, 127.0.0.1 by default
      --unix PATH      use a Unix socket instead of host and port

Others:
  repl               start Node's REPL with asyncio and contextvars loaded
  doctor             check the runtime, the installed copies, and whether Contexts propagate
  help               print this text

Exit status: 0; 1 if the command failed; 2 if its arguments are wrong; 130 after Ctrl-C; 141 if nobody reads the output.
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

type Option = keyof typeof OPTIONS;
type Values = ReturnType<typeof parsed>["values"];

const OF_TASKS: readonly Option[] = ["json", "port"];
const OF_CONNECTIONS: readonly Option[] = ["tls", "ca", "key", "cert", "host", "unix"];

/** The options of each command, besides `--help`. */
const optionsOf: Readonly<Record<string, readonly Option[]>> = {
  ps: [...OF_TASKS, "watch"],
  pstree: OF_TASKS,
  where: OF_TASKS,
  echo: OF_CONNECTIONS,
  nc: [...OF_CONNECTIONS, "listen"],
  repl: [],
  doctor: ["json"],
  help: [],
};

function parsed(args: readonly string[], names: readonly Option[] = []) {
  const options = Object.fromEntries(
    Object.entries(OPTIONS).filter(([name]) => name === "help" || names.includes(name as Option)),
  );
  return parseArgs({ args: [...args], options: options as typeof OPTIONS, allowPositionals: true });
}

const commands: Readonly<Record<string, (args: readonly string[], values: Values) => Promise<void>>> = {
  async ps(args, values) {
    const { jsonText, psTable, tasksOf } = await import("./tasks.ts");
    const [pid] = numbers("ps PID", args.slice(0, 1), ["PID"]) as [number];
    const seconds = values.watch === true ? Number(args[1] ?? 2) : 0;
    if (!(seconds >= 0) || args.length > (values.watch === true ? 2 : 1)) {
      throw new CommandError("ps takes a PID, and --watch a number of seconds", 2);
    }
    do {
      const tasks = await tasksOf(pid, portOf(values));
      print(values.json === true ? jsonText(tasks) : psTable(pid, tasks));
      await asyncio.sleep(seconds);
    } while (values.watch === true);
  },

  async pstree(args, values) {
    const { jsonText, psTree, tasksOf } = await import("./tasks.ts");
    const [pid] = numbers("pstree PID", args, ["PID"]) as [number];
    const tasks = await tasksOf(pid, portOf(values));
    print(values.json === true ? jsonText(tasks) : psTree(tasks));
  },

  async where(args, values) {
    const { jsonText, taskNamed, tasksOf, whereText } = await import("./tasks.ts");
    const [pid] = numbers("where PID TASK", args.slice(0, 1), ["PID"]) as [number];
    const [, wanted] = args;
    if (wanted === undefined || args.length > 2) {
      throw new CommandError("where takes a PID and the name or id of a task", 2);
    }
    const tasks = await tasksOf(pid, portOf(values));
    const task = taskNamed(wanted, tasks);
    print(values.json === true ? jsonText(task) : whereText(task, tasks));
  },

  async echo(args, values) {
    const { echo, serverTls } = await import("./streams.ts");
    const place = placeToListen("echo PORT", args, values);
    await echo(place, usesTls(values) ? serverTls(filesOf(values)) : {});
  },

  async nc(args, values) {
    const { clientTls, connect, listenOnce, serverTls } = await import("./streams.ts");
    const withTls = usesTls(values);
    if (values.listen === true) {
      const place = placeToListen("nc -l PORT", args, values);
      await listenOnce(place, withTls ? serverTls(filesOf(values)) : {});
      return;
    }
    const [host = "", ...rest] = values.unix === undefined ? args : ["", ...args];
    const port = portFor("nc HOST PORT", rest, values.unix);
    const tls = withTls ? { ssl: clientTls(filesOf(values)), serverHostname: values.host ?? host } : {};
    await connect({ host, port, path: values.unix }, tls);
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
  if (args.length !== names.length || !args.every((arg) => /^\d+$/.test(arg))) {
    throw new CommandError(`usage: contextvars ${usage}; ${names.join(" and ")} must be an integer`, 2);
  }
  return args.map(Number);
}

/** Returns the port, which is 0 for a Unix socket. @throws {CommandError} If it is no port, or not the only argument. */
function portFor(usage: string, args: readonly string[], unix?: string): number {
  if (unix !== undefined && args.length > 0) {
    throw new CommandError(`--unix PATH takes the place of the other arguments, got ${args.join(" ")}`, 2);
  }
  const [port = 0] = unix === undefined ? numbers(usage, args, ["PORT"]) : [];
  if (port > 65_535) {
    throw new CommandError(`usage: contextvars ${usage}; PORT must be an integer from 0 to 65535, got ${port}`, 2);
  }
  return port;
}

function portOf({ port }: Values): number | undefined {
  return port === undefined ? undefined : portFor("... --port PORT", [port]);
}

function placeToListen(usage: string, args: readonly string[], { host, unix }: Values): Place {
  return { host: host ?? "127.0.0.1", port: portFor(usage, args, unix), path: unix };
}

function filesOf({ key, cert, ca }: Values): TlsFiles {
  return { key, cert, ca };
}

/** @throws {CommandError} If files for TLS are given without it: the connection would not be encrypted. */
function usesTls({ tls, key, cert, ca }: Values): boolean {
  if (tls !== true && [key, cert, ca].some((file) => file !== undefined)) {
    throw new CommandError("--key, --cert and --ca need --tls", 2);
  }
  return tls === true;
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
    ({ values, positionals } = parsed(rest, optionsOf[name]));
  } catch (error) {
    throw new CommandError((error as Error).message, 2);
  }
  await (values.help === true ? commands["help"]?.([], values) : command(positionals, values));
}

/** The exit status that a shell reports for a program whose output nobody reads: 128 plus the number of SIGPIPE, 13. */
const UNREAD_STATUS = 141;

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") {
      process.exit(UNREAD_STATUS);
    }
    process.stderr.write(`contextvars: cannot write the output: ${error.message}\n`);
    process.exit(1);
  });
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
