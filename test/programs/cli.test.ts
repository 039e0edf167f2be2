/** The command line: each command in a process of its own, against programs that were started without any flag. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { jsonText, psTable, psTree, type TaskDescription, whereText } from "#dist/cli/tasks.js";
import { certificates } from "../support/certificates.ts";
import { External } from "../support/external.ts";
import { packageRoot } from "../support/paths.ts";
import { portOf } from "../support/peers.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const CLI = join(packageRoot, "dist/cli/main.js");

const PROGRAM = `
  import * as asyncio from "contextvars/asyncio";
  async function next(queue) {
    return await queue.get();
  }
  await asyncio.run(async function main() {
    const queue = new asyncio.Queue(3);
    const worker = asyncio.createTask(async function work() {
      await next(queue);
    }, { name: "worker" });
    const boss = asyncio.createTask(async function waitsForWorker() {
      await worker;
    }, { name: "boss" });
    const lock = new asyncio.Lock();
    await lock.acquire();
    for (const name of ["twin", "twin"]) {
      asyncio.createTask(async function locked() {
        await lock.acquire();
      }, { name });
    }
    CYCLE
    console.log("ready");
    await asyncio.gather([boss, () => asyncio.sleep(60)]);
  });
`;

const CYCLE = `
    const first = asyncio.createTask(async () => await second, { name: "first" });
    const second = asyncio.createTask(async () => await first, { name: "second" });
    await asyncio.sleep(0);
`;

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[]): External {
  return new External(process.execPath, [CLI, ...args], { cwd: packageRoot });
}

/** Runs a command to its end. */
async function run(...args: readonly string[]): Promise<Ended> {
  await using program = start(args);
  const status = await program.ended();
  return { status, stdout: program.stdout, stderr: program.stderr };
}

/** A program that runs, and says that it is ready. */
async function started(body: string): Promise<External> {
  const program = new External(process.execPath, ["--input-type=module", "--eval", body], { cwd: packageRoot });
  await program.printed(/ready/);
  return program;
}

/** Waits until no process listens at the port. */
async function closedAgain(port: number): Promise<void> {
  for (;;) {
    try {
      const [, writer] = await asyncio.openConnection("127.0.0.1", port);
      writer.close();
    } catch (error) {
      assert.ok(error instanceof asyncio.ConnectionRefusedError);
      return;
    }
    await asyncio.sleep(0.02);
  }
}

function described(id: string, more: Partial<TaskDescription>): TaskDescription {
  return { thread: 0, id, name: id, function: "f", madeAt: null, callStack: [], waitsFor: [], awaitedBy: [], ...more };
}

describe("contextvars ps, pstree, where", () => {
  it("ps, pstree and where show the tasks of a process, where they are and what they wait for, and leave it as it was", async () => {
    await using target = await started(PROGRAM.replace("CYCLE", ""));
    const pid = String(target.pid);
    const ps = await run("ps", pid);
    assert.equal(ps.status, 0, ps.stderr);
    const [head = "", line, ...rows] = ps.stdout.trimEnd().split("\n");
    assert.match(
      head,
      /^tid {8}task id {14}task name {12}coroutine stack {36}awaiter chain {38}awaiter name {4}awaiter id {6}where +waits for$/,
    );
    assert.equal(line, "-".repeat(180));
    assert.equal(rows.length, 6);
    const worker = rows.find((row) => row.includes(" worker ")) ?? "";
    assert.match(
      worker,
      /^\d+ +0x\w+ +worker +next -> work +waitsForWorker +boss +0x\w+ +\[eval1\]:\d+ +<Queue\.get\(\) of 0\/3>$/,
    );

    const tree = await run("pstree", pid);
    assert.equal(tree.status, 0, tree.stderr);
    assert.match(
      tree.stdout,
      /^└── \(T\) Task-1\n {4}└── {2}main .*:\d+\n {8}├── \(T\) boss\n {8}│ {3}└── {2}waitsForWorker .*:\d+\n {8}│ {7}└── \(T\) worker\n {8}│ {11}└── {2}work .*:\d+\n {8}│ {15}└── {2}next .*:\d+\n/,
    );

    const where = await run("where", pid, "worker");
    assert.match(
      where.stdout,
      /^worker, work\(\), id 0x\w+\nwaits for: <Queue\.get\(\) of 0\/3>\nawaited by: boss \(0x\w+\)\nstack \(most recent call last\):\n {2}File ".*", line \d+, in work\n {2}File ".*", line \d+, in next\n$/,
    );
    const id = /id (0x\w+)/.exec(where.stdout)?.[1] as string;
    assert.equal((await run("where", pid, id)).stdout, where.stdout);

    const json = JSON.parse((await run("ps", pid, "--json")).stdout) as readonly { name: string }[];
    assert.deepEqual(json.map(({ name }) => name).sort(), ["Task-1", "Task-2", "boss", "twin", "twin", "worker"]);

    const missing = await run("where", pid, "nobody");
    assert.deepEqual([missing.status, missing.stdout], [1, ""]);
    assert.match(missing.stderr, /^contextvars: there is no task with the name or id nobody[^\n]*\n$/);
    const twice = await run("where", pid, "twin");
    assert.match(twice.stderr, /^contextvars: several tasks have the name twin: give the id[^\n]*\n$/);
    // The inspector was closed again each time, and the program continues.
    const opened = target.stderr.match(/listening on ws:\/\/127\.0\.0\.1:\d+/g) ?? [];
    assert.equal(opened.length, 7);
    await closedAgain(Number(opened[0]?.replace(/.*:/, "")));
    assert.equal(target.stdout, "ready\n");
  });

  it("ps, pstree and where show the tasks of worker threads, and name a thread that is too busy to answer", async () => {
    const inWorker = (body: string): string => `new Worker(${JSON.stringify(body)}, { eval: true })`;
    const sleeping = `import("contextvars/asyncio").then((asyncio) =>
      asyncio.run(async function inWorker() {
        console.log("ready");
        await asyncio.createTask(() => asyncio.sleep(60), { name: "below" });
      }),
    )`;
    await using target = await started(`
      import { Worker } from "node:worker_threads";
      ${inWorker("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)")};
      ${inWorker(sleeping)};
    `);
    const pid = String(target.pid);
    const ps = await run("ps", pid);
    assert.equal(ps.status, 0, ps.stderr);
    assert.match(ps.stderr, /^contextvars: worker thread 1 of process \d+ is too busy to answer\n$/);
    const [, , ...rows] = ps.stdout.trimEnd().split("\n");
    assert.equal(rows.length, 2, ps.stdout);
    assert.match(rows[1] ?? "", /^\d+:2 +2:(0x\w+) +below .* inWorker +Task-1 +2:0x\w+ /);
    assert.match((await run("where", pid, "below")).stdout, /awaited by: Task-1 \(2:0x\w+\)/);
    assert.match((await run("pstree", pid)).stdout, /inWorker .*\n.*\(T\) below/);
  });

  it("ps --watch asks again and again, until Ctrl-C", async () => {
    await using target = await started(PROGRAM.replace("CYCLE", ""));
    await using watching = start(["ps", String(target.pid), "--watch", "0.05"]);
    await watching.printed(/(?:tid [\s\S]*){2}/);
    watching.kill("SIGINT");
    assert.equal(await watching.ended(), 130);
    assert.equal(watching.stderr, "");
  });

  it("pstree ends, and says so, where layers of tasks wait for the same tasks", () => {
    const layers = Array.from({ length: 7 }, (_, layer) => Array.from({ length: 10 }, (__, i) => `${layer}-${i}`));
    const tasks = layers.flatMap((ids, layer) =>
      ids.map((id) => described(id, { awaitedBy: layers[layer - 1] ?? [] })),
    );
    const lines = psTree(tasks).split("\n");
    assert.match(lines.at(-1) ?? "", /^the tree leaves tasks out after the first 100000; ps lists each task once$/);
    assert.equal(lines.length, 100_000 + 10 + 1);
  });

  it("pstree of ten thousand tasks that wait for each other in a row goes some hundred lines deep", () => {
    const tasks = Array.from({ length: 10_000 }, (_, i) => described(`${i}`, { awaitedBy: [`${i + 1}`] }));
    const lines = psTree(tasks).split("\n");
    assert.match(lines.at(-1) ?? "", /\(T\) \d+: and more$/);
    assert.ok(lines.length < 400);
  });

  it("pstree of ten thousand tasks that wait for each other in a circle throws an error that says so", () => {
    const tasks = Array.from({ length: 10_000 }, (_, i) => described(`${i}`, { awaitedBy: [`${(i + 1) % 10_000}`] }));
    assert.throws(() => psTree(tasks), /cycle/);
  });

  it("ps, pstree, where and --json print names with line breaks, control characters and changes of direction escaped", () => {
    const name = "a\nb\u001b[31mc\u2028d\u009b31me\u202ef";
    const task = described("1", { name, function: name, awaitedBy: ["2"], waitsFor: [name], madeAt: "\u001b[31m\nat" });
    const frame = { functionName: name, fileName: name, lineNumber: 1, columnNumber: 1, isAsync: true };
    const tasks = [task, described("2", { name, callStack: [frame] })];
    for (const [text, count] of [
      [psTable(1, tasks), 4],
      [psTree(tasks), 3],
      [whereText(task, tasks), 6],
    ] as const) {
      assert.equal(text.split("\n").length, count, text);
      assert.doesNotMatch(text.replaceAll("\n", ""), /[\p{Cc}\u2028\u202e]/u);
      assert.ok(text.includes("a\\u000ab\\u001b[31mc\\u2028d\\u009b31me\\u202ef"));
    }
    assert.doesNotMatch(jsonText(tasks).replaceAll("\n", ""), /[\p{Cc}\u2028\u202e]/u);
    assert.deepEqual(JSON.parse(jsonText(tasks)), tasks);
  });

  it("where finds a task by its name as ps prints it", async () => {
    await using target = await started(`
      import * as asyncio from "contextvars/asyncio";
      asyncio.createTask(() => asyncio.sleep(60), { name: "a\\nb" });
      console.log("ready");
    `);
    const { status, stdout } = await run("where", String(target.pid), "a\\u000ab");
    assert.equal(status, 0);
    assert.match(stdout, /^a\\u000ab, /);
  });

  it("ps by several at the same time answers all, and leaves the process as it was", async () => {
    await using target = await started(PROGRAM.replace("CYCLE", ""));
    const answers = await Promise.all(Array.from({ length: 4 }, () => run("ps", String(target.pid))));
    assert.deepEqual(
      answers.map(({ status, stderr }) => [status, stderr]),
      answers.map(() => [0, ""]),
    );
    assert.equal(target.stderr.match(/Debugger listening/g)?.length, 4);
    await closedAgain(9229);
    process.kill(target.pid as number, 0);
  });

  it("ps that Ctrl-C ends while the process is busy leaves no inspector behind, and the next ps is answered", async () => {
    await using target = await started(`
      import * as asyncio from "contextvars/asyncio";
      process.on("SIGUSR2", () => {
        console.log("busy");
        for (const end = Date.now() + 1500; Date.now() < end; );
      });
      asyncio.createTask(() => asyncio.sleep(60), { name: "there" });
      console.log("ready");
    `);
    target.kill("SIGUSR2");
    await target.printed(/busy/);
    await using asking = start(["ps", String(target.pid)]);
    while (!target.stderr.includes("attached")) {
      await asyncio.sleep(0.02);
    }
    asking.kill("SIGINT");
    assert.equal(await asking.ended(), 130);
    assert.equal(asking.stderr, "");
    await closedAgain(9229);
    const { stdout, stderr } = await run("ps", String(target.pid));
    assert.match(stdout, / there /, stderr);
  });

  it("ps sends one signal to a process that handles it itself, and says when the process has ended", async () => {
    await using target = await started(`
      let count = 0;
      process.on("SIGUSR1", () => (count += 1));
      process.on("SIGTERM", () => process.exit(count));
      setInterval(() => console.log("ready"), 50);
    `);
    await using asking = start(["ps", String(target.pid)]);
    await asyncio.sleep(1.5);
    target.kill("SIGTERM");
    assert.deepEqual([await target.ended(), await asking.ended()], [1, 1]);
    assert.equal(asking.stderr, `contextvars: process ${target.pid} has ended before it answered\n`);
  });

  it("pstree names the tasks that wait for each other in a circle", async () => {
    await using target = await started(PROGRAM.replace("CYCLE", CYCLE));
    const { status, stderr } = await run("pstree", String(target.pid));
    assert.equal(status, 1);
    assert.match(stderr, /^contextvars: [^\n]*cycle, so there is no tree to print: first → second → first\n$/);
    assert.equal((await run("ps", String(target.pid))).status, 0);
  });

  it("ps of a process whose inspector is open uses that one, and leaves it open", async () => {
    await using target = new External(
      process.execPath,
      ["--inspect=127.0.0.1:0", "--input-type=module", "--eval", PROGRAM.replace("CYCLE", "")],
      { cwd: packageRoot },
    );
    const [, port = ""] = await target.printed(/listening on ws:\/\/127\.0\.0\.1:(\d+)/);
    await target.printed(/ready/);
    const { status, stdout, stderr } = await run("ps", String(target.pid), "--port", port);
    assert.equal(status, 0, stderr);
    assert.match(stdout, / worker /);
    const [, writer] = await asyncio.openConnection("127.0.0.1", Number(port));
    writer.close();
  });

  it("ps says in one line why it cannot: no such process, not Node, without the library, wrong arguments", async () => {
    await using plain = await started(`setInterval(() => {}, 1000); console.log("ready");`);
    await using other = new External("sleep", ["60"]);
    const failures: readonly [args: string[], status: number, message: RegExp][] = [
      [["ps", "999999999"], 1, /there is no process 999999999/],
      [["ps", String(other.pid)], 1, /runs sleep; only Node processes can be inspected/],
      [["ps", String(plain.pid)], 1, /does not use contextvars\/asyncio/],
      [["ps"], 2, /usage: contextvars ps PID/],
      [["ps", "x"], 2, /must be an integer/],
      [["ps", ""], 2, /must be an integer/],
      [["ps", "1", "2"], 2, /ps takes a PID/],
      [["ps", "1", "--port", "65536"], 2, /PORT must be an integer from 0 to 65535, got 65536/],
      [["where", "1"], 2, /where takes a PID and the name or id/],
      [["frobnicate"], 2, /there is no command frobnicate/],
      [["toString"], 2, /there is no command toString/],
      [["ps", "1", "--frobnicate"], 2, /Unknown option '--frobnicate'/],
    ];
    for (const [args, expected, message] of failures) {
      const { status, stdout, stderr } = await run(...args);
      assert.deepEqual([status, stdout], [expected, ""], args.join(" "));
      assert.match(stderr, message);
      assert.match(stderr, /^contextvars: [^\n]+\n$/);
    }
    process.kill(other.pid as number, 0);
  });
});

describe("contextvars echo, nc", () => {
  it("echo sends back what it gets, until Ctrl-C", async () => {
    await using server = start(["echo", "0"]);
    const [, port] = await server.printed(/echo at 127\.0\.0\.1:(\d+)/);
    const [reader, writer] = await asyncio.openConnection("127.0.0.1", Number(port));
    await writer.send("hello");
    writer.writeEof();
    assert.equal(String(await reader.read()), "hello");
    writer.close();
    server.kill("SIGINT");
    assert.equal(await server.ended(), 130);
  });

  it("nc sends its input, and its end, and prints what comes back until the peer has ended", async () => {
    const server = await asyncio.startServer(
      async (reader, writer) => {
        const all = await reader.read();
        await writer.send(`got ${String(all).toUpperCase()}`);
        writer.close();
      },
      "127.0.0.1",
      0,
    );
    await using client = start(["nc", "127.0.0.1", String(portOf(server))]);
    client.end("some words");
    assert.equal(await client.ended(), 0);
    assert.equal(client.stdout, "got SOME WORDS");
    server.close();
  });

  it("nc -l talks with the first who connects, also at a Unix socket", async () => {
    using folder = new TemporaryFolder();
    const path = join(folder.path, "socket");
    for (const at of [["0"], ["--unix", path]]) {
      await using listener = start(["nc", "-l", ...at]);
      const [, where = ""] = await listener.printed(/listening at (?:127\.0\.0\.1:)?(\S+)/);
      const [reader, writer] =
        where === path
          ? await asyncio.openUnixConnection(path)
          : await asyncio.openConnection("127.0.0.1", Number(where));
      listener.end("from here");
      assert.equal(String(await reader.read()), "from here");
      await writer.send("from there");
      writer.close();
      assert.equal(await listener.ended(), 0, listener.stderr);
      assert.equal(listener.stdout, "from there");
    }
  });

  it("echo --tls and nc --tls speak TLS with each other; a server that is not to be trusted is refused", async () => {
    const made = certificates();
    const [key, cert, authority] = [made.keyFile("server"), made.certFile("server"), made.certFile("ca")];
    await using server = start(["echo", "0", "--tls", "--key", key, "--cert", cert]);
    const [, port = ""] = await server.printed(/echo at 127\.0\.0\.1:(\d+)/);
    await using client = start(["nc", "localhost", port, "--tls", "--ca", authority]);
    client.end("over TLS");
    assert.equal(await client.ended(), 0, client.stderr);
    assert.equal(client.stdout, "over TLS");
    const { status, stderr } = await run("nc", "localhost", port, "--tls");
    assert.equal(status, 1);
    assert.match(stderr, /^contextvars: certificate verify failed: [^\n]+\n$/);
  });

  it("echo and nc say in one line why they cannot", async () => {
    const taken = await asyncio.startServer(() => {}, "127.0.0.1", 0);
    const port = String(portOf(taken));
    const failures: readonly [args: string[], status: number, message: RegExp][] = [
      [["echo"], 2, /usage: contextvars echo PORT/],
      [["echo", ""], 2, /usage: contextvars echo PORT/],
      [["echo", "65536"], 2, /PORT must be an integer from 0 to 65535, got 65536/],
      [["echo", "--unix", "/nowhere", "0"], 2, /--unix PATH takes the place of the other arguments, got 0/],
      [["echo", "--key", "/nowhere", "--cert", "/nowhere", "0"], 2, /--key, --cert and --ca need --tls/],
      [["nc", "--unix", "/nowhere", "host"], 2, /--unix PATH takes the place of the other arguments, got host/],
      [["nc", "--tls", "--ca", "/nowhere", "127.0.0.1", port], 1, /no such file or directory, open '\/nowhere'/],
      [["nc", "--tls", "--key", "/nowhere", "127.0.0.1", port], 2, /--key FILE and --cert FILE belong together/],
      [["nc", "-l", "--tls", "0"], 2, /needs --key FILE and --cert FILE/],
      [["nc", "127.0.0.1", "65536"], 2, /PORT must be an integer from 0 to 65535, got 65536/],
      [["echo", port], 1, /address already in use/],
      [["echo", "--tls", "0"], 2, /needs --key FILE and --cert FILE/],
      [["nc", "127.0.0.1"], 2, /usage: contextvars nc HOST PORT/],
      [["nc", "--unix", "/nowhere/at/all"], 1, /Connect call failed '\/nowhere\/at\/all'/],
    ];
    for (const [args, expected, message] of failures) {
      const { status, stderr } = await run(...args);
      assert.equal(status, expected, args.join(" "));
      assert.match(stderr, message);
      assert.match(stderr, /^contextvars: [^\n]+\n$/);
    }
    taken.close();
  });
});

/** The options that a command has, and something to give to each. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  ps: ["json", "port", "watch"],
  pstree: ["json", "port"],
  where: ["json", "port"],
  echo: ["tls", "ca", "key", "cert", "host", "unix"],
  nc: ["tls", "ca", "key", "cert", "host", "unix", "listen"],
  repl: [],
  doctor: ["json"],
  help: [],
};

describe("every command", () => {
  for (const [command, own] of Object.entries(OPTIONS)) {
    it(`${command} refuses the options of other commands`, async () => {
      const others = [...new Set(Object.values(OPTIONS).flat())].filter((option) => !own.includes(option));
      const ends = await Promise.all(others.map((option) => run(command, `--${option}`)));
      for (const [i, { status, stdout, stderr }] of ends.entries()) {
        assert.deepEqual([status, stdout], [2, ""], others[i]);
        assert.match(stderr, /^contextvars: Unknown option [^\n]+\n$/);
      }
    });
  }

  /** Runs commands that print, each with its output to the file. */
  async function printing(output: string): Promise<(readonly [name: string, status: number | null, stderr: string])[]> {
    await using target = await started(PROGRAM.replace("CYCLE", ""));
    const server = await asyncio.startServer(
      async (_, writer) => {
        await writer.send("some words\n");
        writer.close();
      },
      "127.0.0.1",
      0,
    );
    const pid = String(target.pid);
    const commands = [
      ["ps", pid],
      ["ps", pid, "--json"],
      ["ps", pid, "--watch", "0.01"],
      ["pstree", pid],
      ["where", pid, "worker"],
      ["doctor"],
      ["help"],
      ["nc", "127.0.0.1", String(portOf(server))],
    ];
    const ends = commands.map(async (args): Promise<readonly [string, number | null, string]> => {
      const line = [process.execPath, CLI, ...args].map((arg) => `'${arg}'`).join(" ");
      await using shell = new External("bash", ["-c", `${line} ${output}`], { cwd: packageRoot });
      return [args.join(" ").replace(pid, "PID"), await shell.ended(), shell.stderr];
    });
    const ended = await Promise.all(ends);
    server.close();
    return ended;
  }

  it("that prints ends quietly, with status 141, when nobody reads its output", async () => {
    for (const [name, status, stderr] of await printing("> >(exec true)")) {
      assert.deepEqual([status, stderr], [141, ""], name);
    }
  });

  it("that prints says in one line that its output cannot be written", async () => {
    for (const [name, status, stderr] of await printing("> /dev/full")) {
      assert.equal(status, 1, name);
      assert.match(stderr, /^contextvars: cannot write the output: [^\n]+\n$/, name);
    }
  });

  it("that waits ends at Ctrl-C with status 130, and reports nothing", async () => {
    const server = await asyncio.startServer(() => {}, "127.0.0.1", 0);
    const commands: readonly (readonly [args: string[], ready: RegExp])[] = [
      [["echo", "0"], /echo at/],
      [["nc", "-l", "0"], /listening at/],
      [["nc", "127.0.0.1", String(portOf(server))], /^$/],
    ];
    for (const [args, ready] of commands) {
      await using command = start(args);
      await (ready.test("") ? asyncio.sleep(0.7) : command.printed(ready));
      command.kill("SIGINT");
      assert.equal(await command.ended(), 130, args.join(" "));
      assert.ok(ready.test(command.stderr.replace(/\n$/, "")), command.stderr);
      assert.ok(command.stderr.split("\n").length <= 2, command.stderr);
    }
    server.close();
    await server.shutdown({ grace: 0 });
  });
});

describe("contextvars doctor, repl, help", () => {
  it("doctor says what this runtime is, and that Contexts propagate here", async () => {
    const { status, stdout } = await run("doctor");
    assert.equal(status, 0, stdout);
    assert.match(stdout, /^ok {2}runtime +Node\.js \d/);
    assert.match(stdout, /\nok {2}Contexts outside tasks +follow through all of \d+ ways\n/);
    assert.match(stdout, /\nok {2}Contexts in a task +follow through all of \d+ ways\n/);
    const findings = JSON.parse((await run("doctor", "--json")).stdout) as readonly { isWell: boolean }[];
    assert.ok(findings.length > 3 && findings.every(({ isWell }) => isWell));
  });

  it("repl has asyncio and contextvars, and awaits at the top level", async () => {
    await using repl = start(["repl"]);
    repl.end('await asyncio.sleep(0.01, "slept")\nnew contextvars.ContextVar("v").name\n');
    assert.equal(await repl.ended(), 0);
    assert.match(repl.stdout, /'slept'/);
    assert.match(repl.stdout, /'v'/);
  });

  it("help, --help and no command at all print the commands", async () => {
    for (const args of [[], ["help"], ["--help"], ["-h"], ["ps", "--help"]]) {
      const { status, stdout } = await run(...args);
      assert.equal(status, 0);
      assert.match(stdout, /^Usage: contextvars COMMAND/);
      for (const name of ["ps", "pstree", "where", "echo", "nc", "repl", "doctor"]) {
        assert.match(stdout, new RegExp(`^  ${name} `, "m"));
      }
    }
  });
});
