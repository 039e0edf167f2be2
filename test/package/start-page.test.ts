/**
 * The path of a newcomer: what the page `docs/start.md` says, pasted as it stands into a shell in an empty folder. Only the
 * package comes from a tarball of this very code, and the port is one that is free.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { runCommand } from "../support/commands.ts";
import { packPackage } from "../support/installed-package.ts";
import { packageRoot } from "../support/paths.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const TIME_LIMIT = 60; // seconds
const PORT = "8081";
const page = readFileSync(join(packageRoot, "docs/start.md"), "utf8");

test("the commands of the page, pasted in their order, end with the good-bye of the server", async () => {
  using empty = new TemporaryFolder();
  const folder = empty.path;
  const tarball = await packPackage();
  const port = await freePort();
  const [install, run] = blocksOf("sh");
  assert.ok(install !== undefined && run !== undefined);

  const offline = `npm install --offline ${tarball}`;
  const installed = await shell(folder, install.replace("npm install contextvars", offline));
  assert.equal(installed.status, 0, installed.stderr);
  for (const code of blocksOf("js")) {
    const [, name] = /^\/\/ (\S+)\n/.exec(code) ?? [];
    assert.ok(name !== undefined, `a program of the page does not say its name:\n${code}`);
    writeFileSync(join(folder, "echo", name), code.replaceAll(PORT, port));
  }
  const { stdout, stderr } = await shell(join(folder, "echo"), run);
  assert.match(stdout, /^Hello!\nGood bye, client @ 127\.0\.0\.1:\d+\n$/, stderr);
});

function blocksOf(language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(
    ([, code]) => code ?? "",
  );
}

/** As in a terminal: with the control of jobs, that `kill %1` needs. */
function shell(cwd: string, commands: string): ReturnType<typeof runCommand> {
  return runCommand("bash", ["-m", "-e", "-c", commands], { cwd, timeout: TIME_LIMIT });
}

async function freePort(): Promise<string> {
  const server = await asyncio.startServer(() => {}, "127.0.0.1", 0);
  const [listening] = server.sockets;
  assert.ok(listening !== undefined);
  const { port } = listening.getsockname();
  server.close();
  await server.waitClosed();
  return String(port);
}
