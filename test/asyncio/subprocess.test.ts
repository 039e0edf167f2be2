/**
 * Child processes: the cases that python3's asyncio is asked as well, in interop/python-subprocess.test.ts, and what is
 * our own.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import * as asyncio from "contextvars/asyncio";
import { runCommand } from "../support/commands.ts";
import { programPath } from "../support/paths.ts";
import { runtime } from "../support/runtime.ts";
import { subprocessCases } from "../support/subprocess-cases.ts";

const { DEVNULL, PIPE, STDOUT } = asyncio;
const skip = process.platform === "win32" ? "the programs of the cases are those of Unix" : false;

describe("createSubprocessExec(), createSubprocessShell() and Process", { skip }, () => {
  for (const { id, what, run, expected } of subprocessCases) {
    it(`${what} (${id})`, async () => {
      assert.deepEqual(await asyncio.waitFor(run, 60), expected);
    });
  }

  it("refuse what CPython refuses, and arguments that are no array", async () => {
    const exec = asyncio.createSubprocessExec as (...args: readonly unknown[]) => Promise<unknown>;
    const shell = asyncio.createSubprocessShell as (...args: readonly unknown[]) => Promise<unknown>;
    for (const [call, name, message] of [
      [() => exec("echo", "one"), "TypeError", /must be an array, got 'one'/],
      [() => exec("echo", [1]), "TypeError", /must be a string, got 1/],
      [() => exec(["echo"]), "TypeError", /program must be a string/],
      [() => exec("echo", ["a\0b"]), "ValueError", /embedded null byte/],
      [() => exec("ec\0ho"), "ValueError", /embedded null byte/],
      [() => shell(1), "TypeError", /command must be a string/],
      [() => exec("echo", [], { universalNewlines: true }), "TypeError", /universalNewlines/],
      [() => shell("echo", { encoding: "utf8" }), "TypeError", /encoding/],
      [() => exec("echo", [], { stdout: STDOUT }), "ValueError", /STDOUT, which is for stderr only/],
      [() => exec("echo", [], { stdin: STDOUT }), "ValueError", /stdin/],
      [() => exec("echo", [], { stderr: "pipe" }), "ValueError", /stderr must be PIPE, DEVNULL/],
      [() => exec("echo", [], { stdout: 1.5 }), "ValueError", /stdout/],
      [() => exec("echo", [], { cwd: 1 }), "TypeError", /cwd/],
      [() => exec("echo", [], { limit: 0 }), "ValueError", /limit/i],
    ] as const) {
      await assert.rejects(call, { name, message });
    }
    const process = await asyncio.createSubprocessExec("sleep", ["1000"]);
    for (const signal of [99, -1, "SIGNOTHING", null]) {
      assert.throws(() => process.sendSignal(signal as never), { name: "ValueError", message: /signal/ });
    }
    process.sendSignal(0);
    process.kill();
    assert.equal(await process.wait(), -9);
  });

  it("a file as the folder to start in is named by the error", async () => {
    for (const stderr of [PIPE, STDOUT]) {
      const started = asyncio.createSubprocessExec("true", [], { stdout: PIPE, stderr, cwd: "/etc/passwd" });
      await assert.rejects(started, { message: /: '\/etc\/passwd'$/ });
    }
  });

  it("a command that is too long is an OSError that names the shell, as in Python", async () => {
    const starting = asyncio.createSubprocessShell(`true ${"x".repeat(3 * 2 ** 20)}`);
    const error = await starting.then(
      () => assert.fail("started"),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof asyncio.OSError);
    assert.equal(error.code, "E2BIG");
    assert.match(error.message.slice(0, 200), /Argument list too long.*: '\/bin\/sh'$/);
  });

  it("createSubprocessExec() needs no arguments, and inherits what is not redirected", async () => {
    const process = await asyncio.createSubprocessExec("true");
    assert.deepEqual([process.stdin, process.stdout, process.stderr], [null, null, null]);
    assert.equal(await process.wait(), 0);
    assert.deepEqual(await process.communicate(), [null, null]);
    assert.equal(inspect(process), `<Process ${process.pid}>`);
  });

  it("communicate() takes bytes and strings as UTF-8", async () => {
    for (const input of ["é", Buffer.from("é"), new Uint8Array(Buffer.from("é"))]) {
      const process = await asyncio.createSubprocessExec("cat", [], { stdin: PIPE, stdout: PIPE });
      assert.equal(String((await process.communicate(input))[0]), "é");
    }
  });

  it("a child opens /dev/stdin by way of cat, since a pipe of Node and Bun is a socket", async () => {
    const pipes = { stdin: PIPE, stdout: PIPE, stderr: PIPE };
    const direct = await asyncio.createSubprocessExec("wc", ["-c", "/dev/stdin"], pipes);
    const [, refusal] = await direct.communicate("abc");
    assert.equal(String(refusal).includes("No such device"), process.platform === "linux" && runtime !== "deno");
    const piped = await asyncio.createSubprocessShell("cat | wc -c /dev/stdin | cat", pipes);
    assert.match(String((await piped.communicate("abc"))[0]), /^ *3 /);
  });

  it("a reader of a child holds no more than twice its limit and a chunk", async () => {
    const process = await asyncio.createSubprocessShell("head -c 50000000 /dev/zero", { stdout: PIPE, limit: 1000 });
    await asyncio.sleep(0.1);
    const held = Number(/(\d+) bytes/.exec(String(process.stdout))?.[1] ?? 0);
    assert.ok(held <= 1024 * 1024, `${held} bytes`);
    process.kill();
    await process.wait();
  });

  it("wait() says what it waits for", async () => {
    const process = await asyncio.createSubprocessExec("sleep", ["1000"]);
    const task = asyncio.createTask(() => process.wait());
    await asyncio.sleep(0);
    assert.match(String(task), new RegExp(`Process\\.wait\\(\\) ${process.pid}`));
    process.kill();
    await task;
  });

  it("run() warns about a process that it leaves behind, and not about one that was started before", async () => {
    const before = await asyncio.createSubprocessExec("sleep", ["1000"], { stdin: DEVNULL });
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on("warning", onWarning);
    let left: asyncio.Process | undefined;
    await asyncio.run(async () => {
      left = await asyncio.createSubprocessExec("sleep", ["1000"], { stdout: PIPE });
      await (await asyncio.createSubprocessExec("true")).wait();
    });
    await asyncio.sleep(0.01);
    process.off("warning", onWarning);
    assert.deepEqual(
      warnings.map(({ name, message }) => [name, message]),
      [["ResourceWarning", `${left} still runs at the end of run(); await its wait(), or kill() it before`]],
    );
    assert.equal(left?.returncode, null, "it runs on, as in Python");
    left?.kill();
    before.kill();
    assert.equal(await left?.wait(), -9);
    assert.equal(await before.wait(), -9);
  });

  it("a process left behind keeps neither the program from ending, nor itself from running", async () => {
    const options = runtime === "deno" ? ["run", "-A", "--no-check"] : [];
    const program = [...options, programPath("leaves-process.js")];
    const { status, stdout, stderr } = await runCommand(process.execPath, program, { timeout: 60 });
    assert.equal(status, 0);
    assert.match(stderr, /ResourceWarning: <Process \d+> still runs at the end of run\(\)/);
    // Throws if there is no such process.
    process.kill(Number(stdout), "SIGKILL");
  });
});
