/** The load client: in C where a compiler is there, else on the Node that runs the suite. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { CACHE, fail, say } from "../../scripts/support.mjs";

const FOLDER = join(CACHE, "bench");
const SOURCE = "bench/client/client.c";
const BINARY = join(FOLDER, "client");

/** @type {boolean | undefined} */
let isCompiled;

/** Compiles the client; says so if it cannot. @returns {"C" | "Node"} What it is written in. */
export function prepareClient() {
  if (isCompiled === undefined) {
    isCompiled = process.platform === "linux" && compile();
    if (!isCompiled) {
      say(
        "no C compiler, or not Linux: the load comes from a client on Node, which is slower than some of the servers",
      );
    }
  }
  return isCompiled ? "C" : "Node";
}

/**
 * @param {string[]} args
 * @param {boolean} tls The client in C has no TLS.
 * @returns {import("./programs.mjs").Command}
 */
export function clientCommand(args, tls = false) {
  return isCompiled && !tls
    ? { program: BINARY, args }
    : { program: process.execPath, args: ["bench/client/client.mjs", ...args] };
}

function compile() {
  if (spawnSync("cc", ["--version"]).status !== 0) {
    return false;
  }
  if (existsSync(BINARY) && statSync(BINARY).mtimeMs > statSync(SOURCE).mtimeMs) {
    return true;
  }
  mkdirSync(FOLDER, { recursive: true });
  const { status, stderr } = spawnSync("cc", ["-O2", "-Wall", "-o", BINARY, SOURCE], { encoding: "utf8" });
  if (status !== 0) {
    fail(`the load client does not compile:\n${stderr}`);
  }
  return true;
}
