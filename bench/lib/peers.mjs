/** Which programs there are to compare with, and their versions. What is missing is said, once, and left out. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { obtainRuntime, versionOf } from "../../scripts/obtain.mjs";
import { CACHE, fail, readJson, say } from "../../scripts/support.mjs";
import { prepareClient } from "./client.mjs";
import { isPinned } from "./programs.mjs";

/** @typedef {{ name: string, program: string, version: string }} NodeVersion */

/**
 * @typedef {object} Peers
 * @property {NodeVersion[]} nodes
 * @property {NodeVersion} main What the peers in JavaScript run on, and all ratios between runtimes refer to.
 * @property {{ program: string, version: string, uvloop: string | null } | null} python
 * @property {{ program: string, version: string } | null} go
 * @property {number} seconds How long a sample takes,
 * @property {number} warmup and how long the load is on before.
 */

const PREFERRED_NODE = "24";

/**
 * @param {object} options
 * @param {string[]} options.nodes Major versions; none means the running one and 24.
 * @param {string} options.python
 * @param {number} options.seconds
 * @param {number} options.warmup
 * @returns {Peers}
 */
export function findPeers({ nodes: majors, python, seconds, warmup }) {
  const running = process.versions.node.split(".")[0] ?? "";
  const names = new Set(majors.length > 0 ? majors : [PREFERRED_NODE, running]);
  const nodes = [...names].map(findNode);
  const main = nodes.find(({ name }) => name === PREFERRED_NODE) ?? /** @type {NodeVersion} */ (nodes[0]);
  return { nodes, main, python: findPython(python), go: findGo(), seconds, warmup };
}

/**
 * What a reader of the results has to know about them.
 *
 * @param {Peers} peers
 */
export function describe({ nodes, python, go, seconds, warmup }) {
  return {
    package: readJson("package.json").version,
    nodes: Object.fromEntries(nodes.map(({ name, version }) => [name, version])),
    python: python?.version ?? null,
    uvloop: python?.uvloop ?? null,
    go: go?.version ?? null,
    client: prepareClient(),
    machine: `${cpus().length} × ${cpus()[0]?.model}, ${process.platform} ${process.arch}`,
    pinned: isPinned,
    seconds,
    warmup,
  };
}

/**
 * @param {string} name
 * @returns {NodeVersion}
 */
function findNode(name) {
  const program = obtainRuntime(`node${name}`);
  const version = program && versionOf(program);
  return program && version
    ? { name, program, version }
    : fail(`there is no Node ${name} here, and none can be fetched`);
}

/** @param {string} name */
function findPython(name) {
  // Behind the name there may be a script that looks for the right one each time.
  const program = ask(name, ["-c", "import sys; print(sys.executable)"]);
  if (program === null) {
    say(`no ${name}: asyncio and uvloop are left out`);
    return null;
  }
  const uvloop = ask(program, ["-c", "import uvloop; print(uvloop.__version__)"]);
  if (uvloop === null) {
    say(`${name} cannot import uvloop: left out`);
  }
  return { program, version: ask(program, ["-c", "import platform; print(platform.python_version())"]) ?? "", uvloop };
}

function findGo() {
  const version = /go([\d.]+)/.exec(ask("go", ["version"]) ?? "")?.[1];
  if (version === undefined) {
    say("no go: left out");
    return null;
  }
  const [source, program] = ["bench/servers/main.go", join(CACHE, "bench", "go-server")];
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(join(CACHE, "bench"), { recursive: true });
    const { status, stderr } = spawnSync("go", ["build", "-o", program, source], { encoding: "utf8" });
    if (status !== 0) {
      fail(`the server in Go does not compile:\n${stderr}`);
    }
  }
  return { program, version };
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function ask(program, args) {
  const { status, stdout } = spawnSync(program, args, { encoding: "utf8" });
  return status === 0 ? stdout.trim() : null;
}
