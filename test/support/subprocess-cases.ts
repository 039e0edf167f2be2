/**
 * What becomes of child processes: the cases of CPython's test_subprocess in words of our own, and some more. Each is
 * written twice, in Python and in TypeScript, and both have to come to the same.
 *
 * CPython's cases that are not here, and why:
 *
 * - `test_proc_exited*`, `test_subprocess_repr`, `test_close_kill_running`, `test_close_dont_kill_finished`,
 *   `test_cancel_post_init`, `test_subprocess_consistent_callbacks`, `test_subprocess_protocol_events`: they are about
 *   `loop.subprocess_exec()`, its transport and its protocol, which this package does not have.
 * - The cases of child watchers, pidfds and inactive watchers: the runtime reaps children.
 * - `test_popen_error_with_stdin_pipe`: it replaces `subprocess.Popen` by one that fails. Here programs that cannot be
 *   started fail, with every kind of pipe (`test_popen_error`).
 * - `test_devstdin_input`: the runtimes' pipes are sockets, which cannot be opened by their name; DIFFERENCES.md 45, and
 *   a test in subprocess.test.ts.
 * - `test_create_subprocess_*_text_mode_fails`: no such options; subprocess.test.ts has unknown ones refused.
 * - `test_create_subprocess_exec_with_path`: JavaScript has no path objects; a program that is no string is refused.
 * - Windows: the programs of the cases are those of Unix.
 */
import { closeSync, openSync, readFileSync } from "node:fs";
import * as asyncio from "contextvars/asyncio";

const { DEVNULL, PIPE, STDOUT } = asyncio;

export type Result = null | boolean | number | string | readonly Result[];

export interface SubprocessCase {
  /** The name of CPython's case, or one of our own. */
  readonly id: string;
  readonly what: string;
  /** The body of an async function; `null` where Python 3.11 does otherwise than 3.14, which is what counts. */
  readonly python: string | null;
  run(): Promise<Result>;
  readonly expected: Result;
}

/** More than a pipe holds. */
const LARGE = 4 * 1024 * 1024 + 1; // bytes

const text = (bytes: Buffer | null): string | null => bytes?.toString() ?? null;

async function errorOf(promise: PromiseLike<unknown>): Promise<asyncio.OSError> {
  try {
    await promise;
  } catch (error) {
    return error as asyncio.OSError;
  }
  throw new Error("no error");
}

const exec = asyncio.createSubprocessExec;
const shell = asyncio.createSubprocessShell;

export const subprocessCases: readonly SubprocessCase[] = [
  {
    id: "test_stdin_stdout",
    what: "stdin is written and closed, stdout read to the end",
    python: `
p = await create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
p.stdin.write(b"some data")
await p.stdin.drain()
p.stdin.close()
return [text(await p.stdout.read()), await p.wait()]`,
    async run() {
      const p = await exec("cat", [], { stdin: PIPE, stdout: PIPE });
      p.stdin?.write("some data");
      await p.stdin?.drain();
      p.stdin?.close();
      return [String(await p.stdout?.read()), await p.wait()];
    },
    expected: ["some data", 0],
  },
  {
    id: "test_communicate",
    what: "communicate() sends the input, and returns the output",
    python: `
p = await create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
out, err = await p.communicate(b"some data")
return [text(out), err, p.returncode]`,
    async run() {
      const p = await exec("cat", [], { stdin: PIPE, stdout: PIPE });
      const [out, err] = await p.communicate("some data");
      return [text(out), text(err), p.returncode];
    },
    expected: ["some data", null, 0],
  },
  {
    id: "test_shell",
    what: "a command of the shell ends with its status",
    python: `
p = await create_subprocess_shell("exit 7")
return [p.returncode, await p.wait(), p.returncode, await p.wait()]`,
    async run() {
      const p = await shell("exit 7");
      return [p.returncode, await p.wait(), p.returncode, await p.wait()];
    },
    expected: [null, 7, 7, 7],
  },
  {
    id: "test_start_new_session",
    what: "a new session has the number of its process",
    python: `
p = await create_subprocess_shell("ps -o sid= -p $$", stdout=PIPE, start_new_session=True)
out, _ = await p.communicate()
return int(out) == p.pid`,
    async run() {
      const p = await shell("ps -o sid= -p $$", { stdout: PIPE, startNewSession: true });
      const [out] = await p.communicate();
      return Number(text(out)) === p.pid;
    },
    expected: true,
  },
  {
    id: "test_kill",
    what: "kill() ends the process by SIGKILL",
    python: `
p = await create_subprocess_exec("sleep", "1000")
p.kill()
return await p.wait()`,
    async run() {
      const p = await exec("sleep", ["1000"]);
      p.kill();
      return p.wait();
    },
    expected: -9,
  },
  {
    id: "test_kill_issue43884",
    what: "a shell that is killed has ended, though its child holds the pipe",
    python: `
p = await create_subprocess_shell("sleep 1; sleep 1", stdout=PIPE)
p.kill()
return await p.wait()`,
    async run() {
      const p = await shell("sleep 1; sleep 1", { stdout: PIPE });
      p.kill();
      return p.wait();
    },
    expected: -9,
  },
  {
    id: "test_terminate",
    what: "terminate() ends the process by SIGTERM",
    python: `
p = await create_subprocess_exec("sleep", "1000")
p.terminate()
return await p.wait()`,
    async run() {
      const p = await exec("sleep", ["1000"]);
      p.terminate();
      return p.wait();
    },
    expected: -15,
  },
  {
    id: "test_send_signal",
    what: "a signal sent by number ends the process, by name too",
    python: `
codes = []
for s in (1, signal.SIGUSR1, signal.SIGINT):
    p = await create_subprocess_exec("sh", "-c", "echo ready; exec sleep 1000", stdout=PIPE)
    await p.stdout.readline()
    p.send_signal(s)
    codes.append(await p.wait())
return codes`,
    async run() {
      const codes: number[] = [];
      for (const signal of [1, "SIGUSR1", "SIGINT"] as const) {
        const p = await exec("sh", ["-c", "echo ready; exec sleep 1000"], { stdout: PIPE });
        await p.stdout?.readline();
        p.sendSignal(signal);
        codes.push(await p.wait());
      }
      return codes;
    },
    expected: [-1, -10, -2],
  },
  {
    id: "test_send_signal (caught)",
    what: "a process that catches a signal ends with its own status",
    python: `
p = await create_subprocess_shell("trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done", stdout=PIPE)
await p.stdout.readline()
p.terminate()
return await p.wait()`,
    async run() {
      const p = await shell("trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done", { stdout: PIPE });
      await p.stdout?.readline();
      p.terminate();
      return p.wait();
    },
    expected: 3,
  },
  {
    id: "ended",
    what: "a signal to a process that has ended throws a ProcessLookupError",
    python: `
p = await create_subprocess_exec("true")
await p.wait()
names = []
for f in (p.kill, p.terminate, lambda: p.send_signal(0)):
    try:
        f()
    except Exception as e:
        names.append(type(e).__name__)
return names`,
    async run() {
      const p = await exec("true", []);
      await p.wait();
      return [() => p.kill(), () => p.terminate(), () => p.sendSignal(0)].map((send) => {
        try {
          send();
          return null;
        } catch (error) {
          return (error as Error).name;
        }
      });
    },
    expected: ["ProcessLookupError", "ProcessLookupError", "ProcessLookupError"],
  },
  {
    id: "test_stdin_broken_pipe",
    what: "drain() throws when the process ends before it has read",
    python: `
p = await create_subprocess_shell("read line", stdin=PIPE)
p.stdin.write(b"\\n" + b"x" * LARGE)
try:
    await p.stdin.drain()
except (BrokenPipeError, ConnectionResetError):
    return ["broken", await p.wait()]`,
    async run() {
      const p = await shell("read line", { stdin: PIPE });
      p.stdin?.write(`\n${"x".repeat(LARGE)}`);
      const { name } = await errorOf(p.stdin?.drain() as Promise<void>);
      return [/^(BrokenPipe|ConnectionReset)Error$/.test(name) ? "broken" : name, await p.wait()];
    },
    expected: ["broken", 0],
  },
  {
    id: "test_communicate_ignore_broken_pipe",
    what: "communicate() does not mind a process that reads no input, or closes it",
    python: `
p = await create_subprocess_exec("true", stdin=PIPE)
first = [text(b) for b in await p.communicate(b"x" * LARGE)]
p = await create_subprocess_shell("exec <&-; echo done", stdin=PIPE, stdout=PIPE)
return first + [text(b) for b in await p.communicate(b"x" * LARGE)]`,
    async run() {
      const first = await (await exec("true", [], { stdin: PIPE })).communicate("x".repeat(LARGE));
      const p = await shell("exec <&-; echo done", { stdin: PIPE, stdout: PIPE });
      return [...first, ...(await p.communicate("x".repeat(LARGE)))].map(text);
    },
    expected: [null, null, "done\n", null],
  },
  {
    id: "full pipes",
    what: "communicate() reads both outputs while it writes, whatever the order in which the process does",
    python: `
p = await create_subprocess_shell("head -c 2000000 /dev/zero >&2; cat; head -c 2000000 /dev/zero >&2", stdin=PIPE, stdout=PIPE, stderr=PIPE)
out, err = await p.communicate(b"x" * LARGE)
return [len(out), len(err), p.returncode]`,
    async run() {
      const command = "head -c 2000000 /dev/zero >&2; cat; head -c 2000000 /dev/zero >&2";
      const p = await shell(command, { stdin: PIPE, stdout: PIPE, stderr: PIPE });
      const [out, err] = await p.communicate("x".repeat(LARGE));
      return [out?.length ?? 0, err?.length ?? 0, p.returncode];
    },
    expected: [LARGE, 4_000_000, 0],
  },
  {
    id: "full pipe and wait()",
    what: "wait() waits for a process that waits for a reader, and ends when all is read",
    python: `
p = await create_subprocess_shell(f"head -c {LARGE} /dev/zero", stdout=PIPE)
waiting = asyncio.ensure_future(p.wait())
done, _ = await asyncio.wait([waiting], timeout=0.2)
length = len(await p.stdout.read())
return [len(done), length, await waiting]`,
    async run() {
      const p = await shell(`head -c ${LARGE} /dev/zero`, { stdout: PIPE });
      const waiting = asyncio.createTask(() => p.wait());
      const [done] = await asyncio.wait([waiting], { timeout: 0.2 });
      const output = await p.stdout?.read();
      return [done.size, output?.length ?? 0, await waiting];
    },
    expected: [0, LARGE, 0],
  },
  {
    id: "test_pause_reading",
    what: "more output than the limit arrives whole",
    python: `
p = await create_subprocess_shell("head -c 2000001 /dev/zero", stdin=PIPE, stdout=PIPE, limit=10)
return len((await p.communicate())[0])`,
    async run() {
      const p = await shell("head -c 2000001 /dev/zero", { stdin: PIPE, stdout: PIPE, limit: 10 });
      return (await p.communicate())[0]?.length ?? 0;
    },
    expected: 2_000_001,
  },
  {
    id: "limit",
    what: "a line over the limit is an error of readline(), as of any reader",
    python: `
p = await create_subprocess_exec("echo", "x" * 50, stdout=PIPE, limit=10)
try:
    await p.stdout.readline()
except ValueError as e:
    return [type(e).__name__, text(await p.stdout.read()), await p.wait()]`,
    async run() {
      const p = await exec("echo", ["x".repeat(50)], { stdout: PIPE, limit: 10 });
      const { name } = await errorOf(p.stdout?.readline() as Promise<Buffer>);
      return [name, String(await p.stdout?.read()), await p.wait()];
    },
    expected: ["ValueError", "", 0],
  },
  {
    id: "test_stdin_not_inheritable",
    what: "the end of the input reaches the process, while others run that were started before and after",
    python: `
others = [await create_subprocess_exec("cat", stdin=PIPE) for _ in range(2)]
p = await create_subprocess_exec("wc", "-c", stdin=PIPE, stdout=PIPE, stderr=PIPE)
others.append(await create_subprocess_exec("cat", stdin=PIPE))
out, err = await p.communicate(b"abc")
for each in others:
    each.kill()
    await each.wait()
return [text(out).strip(), text(err), p.returncode]`,
    async run() {
      const others = [await exec("cat", [], { stdin: PIPE }), await exec("cat", [], { stdin: PIPE })];
      const p = await exec("wc", ["-c"], { stdin: PIPE, stdout: PIPE, stderr: PIPE });
      others.push(await exec("cat", [], { stdin: PIPE }));
      const [out, err] = await p.communicate("abc");
      for (const each of others) {
        each.kill();
        await each.wait();
      }
      return [String(out).trim(), text(err), p.returncode];
    },
    expected: ["3", "", 0],
  },
  {
    id: "test_empty_input",
    what: "empty input is an end of the input",
    python: `
p = await create_subprocess_exec("wc", "-c", stdin=PIPE, stdout=PIPE, stderr=PIPE)
out, err = await p.communicate(b"")
return [text(out).strip(), text(err), p.returncode]`,
    async run() {
      const p = await exec("wc", ["-c"], { stdin: PIPE, stdout: PIPE, stderr: PIPE });
      const [out, err] = await p.communicate("");
      return [String(out).trim(), text(err), p.returncode];
    },
    expected: ["0", "", 0],
  },
  {
    id: "test_communicate_none_stdin",
    what: "communicate() without input closes the input, and with input where there is no pipe sends nothing",
    python: null,
    async run() {
      const p = await exec("cat", [], { stdin: PIPE, stdout: PIPE });
      const [out] = await p.communicate();
      const other = await exec("cat", [], { stdin: DEVNULL, stdout: PIPE });
      const [nothing] = await other.communicate("abc");
      return [text(out), text(nothing)];
    },
    expected: ["", ""],
  },
  {
    id: "test_devnull_input",
    what: "DEVNULL as input is at its end",
    python: `
p = await create_subprocess_exec("wc", "-c", stdin=DEVNULL, stdout=PIPE)
return [p.stdin, text((await p.communicate())[0]).strip()]`,
    async run() {
      const p = await exec("wc", ["-c"], { stdin: DEVNULL, stdout: PIPE });
      return [p.stdin === null ? null : "a writer", String((await p.communicate())[0]).trim()];
    },
    expected: [null, "0"],
  },
  {
    id: "test_devnull_output",
    what: "DEVNULL as stdout swallows it",
    python: `
p = await create_subprocess_shell("cat; echo error >&2", stdin=PIPE, stdout=DEVNULL, stderr=PIPE)
return [text(b) for b in await p.communicate(b"abc")] + [p.returncode]`,
    async run() {
      const p = await shell("cat; echo error >&2", { stdin: PIPE, stdout: DEVNULL, stderr: PIPE });
      return [...(await p.communicate("abc")).map(text), p.returncode];
    },
    expected: [null, "error\n", 0],
  },
  {
    id: "test_devnull_error",
    what: "DEVNULL as stderr swallows it",
    python: `
p = await create_subprocess_shell("cat; echo error >&2", stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
return [text(b) for b in await p.communicate(b"abc")] + [p.returncode]`,
    async run() {
      const p = await shell("cat; echo error >&2", { stdin: PIPE, stdout: PIPE, stderr: DEVNULL });
      return [...(await p.communicate("abc")).map(text), p.returncode];
    },
    expected: ["abc", null, 0],
  },
  {
    id: "STDOUT",
    what: "STDOUT as stderr is the pipe of stdout, in the order of the writes",
    python: `
results = []
for p in (
    await create_subprocess_exec("sh", "-c", "echo a; echo b >&2; echo c", stdout=PIPE, stderr=STDOUT),
    await create_subprocess_shell("echo a; echo b >&2; echo c; exit 3", stdout=PIPE, stderr=STDOUT),
    await create_subprocess_exec("sh", "-c", "echo a; echo b >&2", stdout=DEVNULL, stderr=STDOUT),
):
    results += [text(b) for b in await p.communicate()] + [p.returncode]
return results`,
    async run() {
      const merged = { stdout: PIPE, stderr: STDOUT } as const;
      const results: Result[] = [];
      for (const p of [
        await exec("sh", ["-c", "echo a; echo b >&2; echo c"], merged),
        await shell("echo a; echo b >&2; echo c; exit 3", merged),
        await exec("sh", ["-c", "echo a; echo b >&2"], { stdout: DEVNULL, stderr: STDOUT }),
      ]) {
        results.push(...(await p.communicate()).map(text), p.returncode);
      }
      return results;
    },
    expected: ["a\nb\nc\n", null, 0, "a\nb\nc\n", null, 3, null, null, 0],
  },
  {
    id: "arguments",
    what: "arguments arrive as they are, whatever is in them, with STDOUT as well",
    python: `
results = []
for err in (None, STDOUT):
    p = await create_subprocess_exec("printf", "[%s]", "a b", "", "'\\"$HOME", "\\n;*", "\u00e9", stdout=PIPE, stderr=err)
    results.append((await p.communicate())[0].decode())
return results`,
    async run() {
      const results: string[] = [];
      for (const stderr of [null, STDOUT] as const) {
        const args = ["[%s]", "a b", "", `'"$HOME`, "\n;*", "é"];
        const p = await exec("printf", args, { stdout: PIPE, stderr });
        results.push(String((await p.communicate())[0]));
      }
      return results;
    },
    expected: Array(2).fill(`[a b][]['"$HOME][\n;*][é]`),
  },
  {
    id: "environment and folder",
    what: "env is the whole environment, cwd the folder, with STDOUT as well",
    python: `
results = []
for err in (None, STDOUT):
    p = await create_subprocess_exec("/usr/bin/env", stdout=PIPE, stderr=err, env={"A": "1 2"}, cwd="/")
    results.append(text((await p.communicate())[0]))
    p = await create_subprocess_exec("/bin/pwd", stdout=PIPE, stderr=err, cwd="/usr")
    results.append(text((await p.communicate())[0]))
return results`,
    async run() {
      const results: (string | null)[] = [];
      for (const stderr of [null, STDOUT] as const) {
        for (const p of [
          await exec("/usr/bin/env", [], { stdout: PIPE, stderr, env: { A: "1 2" }, cwd: "/" }),
          await exec("/bin/pwd", [], { stdout: PIPE, stderr, cwd: "/usr" }),
        ]) {
          const output = text((await p.communicate())[0]);
          // Under npm run coverage, Node itself passes this variable on to every child process.
          results.push(output?.replace(/^NODE_V8_COVERAGE=.*\n/m, "") ?? null);
        }
      }
      return results;
    },
    expected: ["A=1 2\n", "/usr\n", "A=1 2\n", "/usr\n"],
  },
  {
    id: "files",
    what: "files are inputs and outputs, by their descriptor or as an object that has one",
    python: `
with tempfile.TemporaryFile() as f:
    p = await create_subprocess_shell("echo out; echo err >&2", stdout=f, stderr=STDOUT)
    codes = [await p.wait()]
    f.seek(0)
    p = await create_subprocess_exec("cat", stdin=f.fileno(), stdout=PIPE)
    return codes + [text((await p.communicate())[0])]`,
    async run() {
      using folder = new TemporaryFolder();
      const file = folder.file("output");
      const output = openSync(file, "w");
      const p = await shell("echo out; echo err >&2", { stdout: { fd: output }, stderr: STDOUT });
      const code = await p.wait();
      closeSync(output);
      const input = openSync(file, "r");
      const cat = await exec("cat", [], { stdin: input, stdout: PIPE });
      const [out] = await cat.communicate();
      closeSync(input);
      return readFileSync(file, "utf8") === text(out) ? [code, text(out)] : "different";
    },
    expected: [0, "out\nerr\n"],
  },
  {
    id: "test_cancel_process_wait",
    what: "a cancelled wait() does nothing to the process, nor to other waits",
    python: `
p = await create_subprocess_exec("sleep", "1000")
other = asyncio.ensure_future(p.wait())
task = asyncio.ensure_future(p.wait())
await asyncio.sleep(0)
task.cancel()
try:
    await task
except asyncio.CancelledError:
    codes = [p.returncode]
p.kill()
return codes + [await p.wait(), await other]`,
    async run() {
      const p = await exec("sleep", ["1000"]);
      const other = asyncio.createTask(() => p.wait());
      const task = asyncio.createTask(() => p.wait());
      await asyncio.sleep(0);
      task.cancel();
      const { name } = await errorOf(task);
      const codes: Result[] = name === "CancelledError" ? [p.returncode] : [name];
      p.kill();
      return [...codes, await p.wait(), await other];
    },
    expected: [null, -9, -9],
  },
  {
    id: "cancelled communicate()",
    what: "a cancelled communicate() does nothing to the process",
    python: `
p = await create_subprocess_exec("sleep", "1000", stdin=PIPE, stdout=PIPE)
task = asyncio.ensure_future(p.communicate(b"x" * LARGE))
await asyncio.sleep(0.05)
task.cancel()
try:
    await task
except asyncio.CancelledError:
    codes = [p.returncode]
p.kill()
return codes + [await p.wait()]`,
    async run() {
      const p = await exec("sleep", ["1000"], { stdin: PIPE, stdout: PIPE });
      const task = asyncio.createTask(() => p.communicate("x".repeat(LARGE)));
      await asyncio.sleep(0.05);
      task.cancel();
      const { name } = await errorOf(task);
      const codes: Result[] = name === "CancelledError" ? [p.returncode] : [name];
      p.kill();
      return [...codes, await p.wait()];
    },
    expected: [null, -9],
  },
  {
    id: "test_cancel_make_subprocess_transport_exec",
    what: "a task that is cancelled while it starts a process leaves none behind",
    python: `
marker = "3600.0471"
task = asyncio.ensure_future(create_subprocess_exec("sleep", marker))
asyncio.get_running_loop().call_soon(task.cancel)
try:
    await task
except asyncio.CancelledError:
    p = await create_subprocess_exec("pgrep", "-fc", "^sleep " + marker, stdout=PIPE)
    return text((await p.communicate())[0])`,
    async run() {
      const marker = "3600.0472";
      const task = asyncio.createTask(() => exec("sleep", [marker]));
      asyncio.getRunningLoop().callSoon(() => task.cancel());
      const { name } = await errorOf(task);
      const p = await exec("pgrep", ["-fc", `^sleep ${marker}`], { stdout: PIPE });
      return name === "CancelledError" ? text((await p.communicate())[0]) : name;
    },
    expected: "0\n",
  },
  ...(
    [
      ["test_popen_error", "a program that is not there", "/no/such/program", undefined],
      ["test_popen_error (in PATH)", "a name that is not in PATH", "no-such-program", undefined],
      ["test_popen_error (permission)", "a file that may not be run", "/etc/passwd", undefined],
      ["test_popen_error (folder)", "a folder", "/etc", undefined],
      ["test_popen_error (no name)", "an empty name", "", undefined],
      ["test_popen_error (cwd)", "a folder to start in that is not there", "true", "/no/such/folder"],
      ["test_popen_error (no cwd)", "an empty name of a folder to start in", "true", ""],
    ] as const
  ).map(([id, what, program, cwd]): SubprocessCase => {
    const missing = cwd ?? program;
    const denied = missing.startsWith("/etc") || program === "";
    const message = denied
      ? ["PermissionError", `[Errno 13] Permission denied: '${missing}'`]
      : ["FileNotFoundError", `[Errno 2] No such file or directory: '${missing}'`];
    return {
      id,
      what: `${what} is an error of the call, with every kind of pipe`,
      python: `
results = []
for kw in (dict(), dict(stdin=PIPE), dict(stdout=PIPE, stderr=STDOUT)):
    try:
        await create_subprocess_exec(${JSON.stringify(program)}, cwd=${cwd === undefined ? "None" : JSON.stringify(cwd)}, **kw)
    except OSError as e:
        results.append([type(e).__name__, str(e)])
return results`,
      async run() {
        const results: Result[] = [];
        for (const pipes of [{}, { stdin: PIPE }, { stdout: PIPE, stderr: STDOUT }] as const) {
          const { name, message } = await errorOf(exec(program, [], { ...pipes, cwd }));
          results.push([name, message]);
        }
        return results;
      },
      expected: [message, message, message],
    };
  }),
  {
    id: "an empty command",
    what: "an empty command does nothing",
    python: `
p = await create_subprocess_shell("")
return await p.wait()`,
    async run() {
      return await (await shell("")).wait();
    },
    expected: 0,
  },
  {
    id: "test_read_stdout_after_process_exit",
    what: "output is read after the process has ended",
    python: `
p = await create_subprocess_shell("head -c 100000 /dev/zero; echo end", stdout=PIPE)
await p.wait()
return [len(await p.stdout.readexactly(100000)), text(await p.stdout.readline()), text(await p.stdout.read())]`,
    async run() {
      const p = await shell("head -c 100000 /dev/zero; echo end", { stdout: PIPE });
      await p.wait();
      const zeros = await p.stdout?.readexactly(100_000);
      return [zeros?.length ?? 0, String(await p.stdout?.readline()), String(await p.stdout?.read())];
    },
    expected: [100_000, "end\n", ""],
  },
  {
    id: "test_subprocess_communicate_stdout",
    what: "several processes communicate at the same time",
    python: `
async def one(i):
    p = await create_subprocess_shell("cat; exit %d" % i, stdin=PIPE, stdout=PIPE)
    return [text((await p.communicate(str(i).encode()))[0]), p.returncode]
return await asyncio.gather(*(one(i) for i in range(8)))`,
    async run() {
      const one = async (i: number): Promise<Result> => {
        const p = await shell(`cat; exit ${i}`, { stdin: PIPE, stdout: PIPE });
        return [text((await p.communicate(String(i)))[0]), p.returncode];
      };
      return asyncio.gather([0, 1, 2, 3, 4, 5, 6, 7].map((i) => () => one(i)));
    },
    expected: [0, 1, 2, 3, 4, 5, 6, 7].map((i) => [String(i), i]),
  },
  {
    id: "conversation",
    what: "lines go back and forth",
    python: `
p = await create_subprocess_shell("while read line; do echo got $line; done", stdin=PIPE, stdout=PIPE)
answers = []
for word in (b"one", b"two"):
    p.stdin.write(word + b"\\n")
    await p.stdin.drain()
    answers.append(text(await p.stdout.readline()))
p.stdin.write_eof()
answers.append(text(await p.stdout.read()))
return answers + [await p.wait()]`,
    async run() {
      const p = await shell("while read line; do echo got $line; done", { stdin: PIPE, stdout: PIPE });
      const answers: Result[] = [];
      for (const word of ["one", "two"]) {
        await p.stdin?.send(`${word}\n`);
        answers.push(String(await p.stdout?.readline()));
      }
      p.stdin?.writeEof();
      answers.push(String(await p.stdout?.read()));
      return [...answers, await p.wait()];
    },
    expected: ["got one\n", "got two\n", "", 0],
  },
  {
    id: "repr",
    what: "a Process prints its number",
    python: `
p = await create_subprocess_exec("true")
await p.wait()
return repr(p) == f"<Process {p.pid}>"`,
    async run() {
      const p = await exec("true");
      await p.wait();
      return String(p) === `<Process ${p.pid}>`;
    },
    expected: true,
  },
];

/** Runs the cases that come as JSON on standard input, and prints what each returns. */
const PYTHON = `
import asyncio, json, signal, sys, tempfile, textwrap
from asyncio import create_subprocess_exec, create_subprocess_shell
from asyncio.subprocess import PIPE, STDOUT, DEVNULL
LARGE = ${LARGE}
def text(data):
    return None if data is None else data.decode("latin1")
async def main():
    results = {}
    for name, body in json.load(sys.stdin).items():
        exec("async def case():\\n" + textwrap.indent(body, "    "), globals())
        results[name] = await asyncio.wait_for(case(), 60)
    print(json.dumps(results))
asyncio.run(main())
`;

import { TemporaryFolder } from "./temporary-folder.ts";

/** What Python's own asyncio comes to, by the names of the cases. */
export async function pythonResults(): Promise<Readonly<Record<string, Result>>> {
  const bodies = Object.fromEntries(
    subprocessCases.flatMap(({ id, python }) => (python === null ? [] : [[id, python]])),
  );
  const process = await exec("python3", ["-c", PYTHON], { stdin: PIPE, stdout: PIPE });
  const [output] = await process.communicate(JSON.stringify(bodies));
  return JSON.parse(String(output)) as Record<string, Result>;
}
