/**
 * Every block of TypeScript in the documents and in the doc comments is compiled and run as it stands.
 *
 * There is no way to mark a block as one that is not to be run: what is no program is fenced as text.
 */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, it } from "node:test";
import { runNode } from "../support/commands.ts";
import { packageRoot, programPath } from "../support/paths.ts";

const ignored = read(".gitignore").split("\n");
/** The pages of the site that are made from other files are ignored by git; their blocks are run where they stand. */
const DOCUMENTS = [".", "bench", "docs", "docs/guides", "test/support"].flatMap(pagesIn);
const TIME_LIMIT = 20; // seconds
const PROCESSES = 4;
/** Inside the project, so that a block finds the package by its name. */
const FOLDER = join(packageRoot, "build/docs");

/** A block of code, and where it stands. */
interface Block {
  readonly file: string;
  /** The line of its first line of code, counted from 1. */
  readonly line: number;
  readonly code: string;
  /** The name of its program, without an extension. */
  readonly program: string;
}

const sources = readdirSync(join(packageRoot, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => `src/${file.replaceAll("\\", "/")}`)
  .sort();
const blocks = [
  ...DOCUMENTS.flatMap((file) => blocksOf(file, read(file))),
  ...sources.flatMap((file) => blocksOf(file, docCommentsOf(read(file)))),
];
const complaints = await compile();
const ended = await runInTurn();

describe("every example compiles and runs", { concurrency: 2 }, () => {
  for (const { file, line, program } of blocks) {
    it(`${file}:${line}`, async () => {
      const complaint = complaintsAbout(program);
      assert.ok(complaint === "", complaint);
      const script = scriptOf(program);
      if (ended.has(script)) {
        return;
      }
      const { status, stdout, stderr } = await runNode(["--enable-source-maps", script], { timeout: TIME_LIMIT });
      const ending = status === null ? `was still running after ${TIME_LIMIT} s` : `ended with status ${status}`;
      assert.equal(status, 0, `${file}:${line} ${ending}\n${stdout}${stderr}`);
    });
  }
});

function scriptOf(program: string): string {
  return join(FOLDER, `${program}.js`);
}

/**
 * Runs the blocks, many in one process, and returns the ones that ended. One that did not, and the ones after it,
 * get a process of their own: that says what is wrong.
 */
async function runInTurn(): Promise<ReadonlySet<string>> {
  const scripts = blocks.map(({ program }) => scriptOf(program));
  const found = new Set<string>();
  const run = (share: readonly string[]): Promise<void> =>
    new Promise((resolve) => {
      const child = fork(programPath("in-turn.js"), share, { silent: true, timeout: TIME_LIMIT * 1000 });
      child.stdout?.resume();
      child.stderr?.resume();
      child.on("message", (script: string) => found.add(script));
      child.on("close", () => resolve());
    });
  await Promise.all(
    Array.from({ length: PROCESSES }, (_, i) => run(scripts.filter((_script, j) => j % PROCESSES === i))),
  );
  return found;
}

function pagesIn(folder: string): string[] {
  return readdirSync(join(packageRoot, folder))
    .map((file) => posix.join(folder, file))
    .filter((file) => file.endsWith(".md") && !ignored.includes(file))
    .sort();
}

function read(file: string): string {
  return readFileSync(join(packageRoot, file), "utf8");
}

/** The fenced blocks of a text in Markdown. A block may be indented, as in a list. */
function blocksOf(file: string, text: string): Block[] {
  const found = text.matchAll(/^( *)```(?:ts|typescript)\b.*\n([\s\S]*?)^ *```$/gm);
  return [...found].map((match) => {
    const [, indent = "", code = ""] = match;
    const line = text.slice(0, match.index).split("\n").length + 1;
    return {
      file,
      line,
      code: code.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
      program: `${file.replace(/\.\w+$/, "").replaceAll(/\W+/g, "-")}-${line}`,
    };
  });
}

/** The text of the doc comments, each line where it was; the lines between them are empty. */
function docCommentsOf(code: string): string {
  let isInside = false;
  return code
    .split("\n")
    .map((line) => {
      isInside ||= /^\s*\/\*\*/.test(line);
      const text = isInside ? line.replace(/^\s*(\/\*\*| \* ?| ?\*\/)/, "") : "";
      isInside &&= !line.includes("*/");
      return text;
    })
    .join("\n");
}

/**
 * Compiles all blocks as one program, and gives what the compiler has to say.
 *
 * Each block begins with as many empty lines as stand before it in its file, so that line numbers are right everywhere.
 */
async function compile(): Promise<string> {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  for (const { line, code, program } of blocks) {
    writeFileSync(join(FOLDER, `${program}.ts`), "\n".repeat(line - 1) + code);
  }
  const options = { rootDir: ".", noUnusedLocals: false, noUnusedParameters: false };
  const config = { extends: "../../tsconfig.base.json", compilerOptions: options, include: ["*.ts"] };
  writeFileSync(join(FOLDER, "tsconfig.json"), JSON.stringify(config));
  const compiler = join(packageRoot, "node_modules/typescript/bin/tsc");
  const { stdout, stderr } = await runNode([compiler, "-p", FOLDER, "--pretty", "false"]);
  return stdout + stderr;
}

/** The compiler's lines about one program, with the indented lines below them. */
function complaintsAbout(program: string): string {
  const lines = complaints.matchAll(/^(\S.*)$(?:\n^ .*$)*/gm);
  return [...lines]
    .map(([text]) => text)
    .filter((text) => text.includes(`${program}.ts(`) || !/\.ts\(/.test(text))
    .join("\n");
}
