/** Standard input and output as a reader and a writer, in a process of their own: pipes and files. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { External } from "../support/external.ts";
import { programPath } from "../support/paths.ts";
import { runtime } from "../support/runtime.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const command = [...(runtime === "deno" ? ["run", "-A", "--no-check"] : []), programPath("shout.js")];
const lines = Array.from({ length: 50_000 }, (_, i) => `line ${i} with some text in it\n`).join("");

describe("StreamReader.from(process.stdin), StreamWriter.from(process.stdout)", () => {
  it("all that comes through a pipe goes out through another, and EOF ends the program", async () => {
    await using program = new External(process.execPath, command);
    program.end(lines);
    assert.equal(await program.ended(), 0);
    assert.equal(program.stdout, lines.toUpperCase());
    assert.equal(program.stderr, "");
  });

  it("lines that come one by one are answered one by one", async () => {
    await using program = new External(process.execPath, command);
    for (const line of ["one", "two", "three"]) {
      program.write(`${line}\n`);
      await program.printed(new RegExp(`^${line.toUpperCase()}$`, "m"));
    }
    program.end();
    assert.equal(await program.ended(), 0);
  });

  it("a reader that is given up lets the program end, though its input stays open", async () => {
    await using program = new External(process.execPath, command);
    program.write("one\n\nnot read\n");
    assert.equal(await program.ended(), 0);
    assert.equal(program.stdout, "ONE\n");
  });

  it("files do as well as pipes", async () => {
    using folder = new TemporaryFolder();
    const [from, to] = [folder.file("in"), folder.file("out")];
    writeFileSync(from, lines);
    const descriptors = [openSync(from, "r"), openSync(to, "w")] as const;
    const child = spawn(process.execPath, command, { stdio: [...descriptors, "inherit"] });
    assert.deepEqual(await once(child, "close"), [0, null]);
    descriptors.forEach(closeSync);
    assert.equal(readFileSync(to, "utf8"), lines.toUpperCase());
  });

  it("a reader of the output that goes away is a BrokenPipeError or a ConnectionResetError, and the program ends", async () => {
    const child = spawn(process.execPath, command, { stdio: ["pipe", "pipe", "pipe"] });
    child.stdin.on("error", () => {});
    child.stdin.write("one\n");
    await once(child.stdout, "data");
    child.stdout.destroy();
    const told: Buffer[] = [];
    child.stderr.on("data", (chunk) => told.push(chunk));
    const ended = once(child, "close");
    for (let i = 0; i < 200; i++) {
      child.stdin.write(lines.slice(0, 10_000));
    }
    child.stdin.end();
    assert.deepEqual(await ended, [0, null]);
    assert.match(String(Buffer.concat(told)), /^(BrokenPipeError|ConnectionResetError)$/m);
  });
});
