/**
 * What the scripts share: running programs, keeping node_modules and the compiled files up to date, finding the tests.
 *
 * Every script runs in the project's folder, wherever it was called from, so paths are relative to that.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

/** Where scripts keep what can be thrown away at any time; git ignores it. */
export const CACHE = ".cache";

/** The folders of test/ whose tests need nothing but a JavaScript runtime: they run on every one. */
export const PORTABLE_TESTS = [
  "async-context",
  "asyncio",
  "codecs",
  "contextvars",
  "integration",
  "opentelemetry",
  "propagate",
  "properties",
  "testing",
];

/** Files of asyncio/ that change the process, or ask what is alive in it. */
const ASYNCIO_APART = [
  "call-graph",
  "callback-context",
  "channels",
  "error-stacks",
  "fake-timers",
  "hostile-values",
  "loop",
  "relay",
  "reprs",
  "runners",
  "stuck-run",
  "subprocess",
  "tasks-in-node",
  "tasks-memory",
  "two-copies",
  "unawaited",
  "unretrieved",
];

/**
 * The test files that share a process, because most of them take less time than the start of a process. Files that ask
 * CPython share one because loading CPython takes two seconds, and files that use the packed package because each would
 * pack it. The groups that take longest come first, so that none of them runs alone at the end; some are single files.
 *
 * @type {{ parts: string[], except?: string[] }[]} The beginnings of their paths in test/, and the files that stay apart.
 */
const GROUPS = [
  { parts: ["package/"] },
  { parts: ["programs/cli"] },
  { parts: ["conformance/"] },
  { parts: ["testing/"] },
  { parts: ["programs/examples"] },
  { parts: ["asyncio/"], except: ASYNCIO_APART },
  { parts: ["contextvars/"] },
  { parts: ["properties/"] },
  { parts: ["async-context/", "codecs/", "opentelemetry/"] },
];

const isWindows = process.platform === "win32";

/**
 * @typedef {object} Project A folder of sources that tsc compiles.
 * @property {string} name Names the file that says what the last compilation was made from.
 * @property {string} config What `tsc -p` gets.
 * @property {string[]} inputs Files and folders: when one changes, the output is out of date.
 * @property {Record<string, string>} sourceOf The folder of sources behind each folder of output.
 */

/** @type {Project} */
const LIBRARY = {
  name: "dist",
  config: ".",
  inputs: ["src", "tsconfig.json", "tsconfig.base.json", "package.json", "package-lock.json"],
  sourceOf: { dist: "src" },
};

/** @type {Project} The tests are checked against the library's declarations, so its inputs are theirs too. */
const TESTS = {
  name: "build",
  config: "test",
  inputs: [...LIBRARY.inputs, "test", "examples"],
  sourceOf: { "build/test": "test", "build/examples": "examples" },
};

/**
 * Prints one line that says what happens now.
 *
 * @param {string} text
 */
export function say(text) {
  process.stdout.write(`${text}\n`);
}

/**
 * Prints why it cannot go on, and ends the process.
 *
 * @param {string} reason
 * @returns {never}
 */
export function fail(reason) {
  process.stderr.write(`${reason}\n`);
  process.exit(1);
}

/**
 * Runs a program to its end; it shares this one's terminal.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {import("node:child_process").SpawnSyncOptions} [options]
 * @returns {number} Its exit status; 1 if a signal ended it.
 */
export function run(program, args, options) {
  const { status, error } = spawnSync(program, args, { stdio: "inherit", ...options });
  if (error) {
    throw error;
  }
  return status ?? 1;
}

/**
 * Runs npm without the warnings, questions and advertisements of an interactive install.
 *
 * @param {string[]} args
 * @returns {number} Its exit status.
 */
export function npm(args) {
  return run("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], { shell: isWindows });
}

/**
 * Calls the function for each item, for as many at the same time as there are cores.
 *
 * @template T, R
 * @param {readonly T[]} items
 * @param {(item: T) => Promise<R>} fn
 * @returns {Promise<R[]>} What it returned, in the order of the items.
 */
export async function mapAtSameTime(items, fn) {
  /** @type {R[]} */
  const results = [];
  const left = items.entries();
  const work = async () => {
    for (const [index, item] of left) {
      results[index] = await fn(item);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return results;
}

/**
 * The script behind a command of an installed package, to be run by node: no shell, no PATH, the same on all platforms.
 *
 * @param {string} packageFolder
 * @param {string} [command] The package's own name unless given.
 * @returns {string}
 */
export function commandOf(packageFolder, command) {
  const { name, bin } = readJson(join(packageFolder, "package.json"));
  return join(packageFolder, typeof bin === "string" ? bin : bin[command ?? name]);
}

/**
 * Runs a command of a package in node_modules.
 *
 * @param {string} packageName
 * @param {string[]} args
 * @param {string} [command]
 * @returns {number} Its exit status.
 */
export function runTool(packageName, args, command) {
  return run(process.execPath, [commandOf(join("node_modules", packageName), command), ...args]);
}

/**
 * Makes sure that the packages are in a folder of the cache, without adding them to this project.
 *
 * @param {string} folder
 * @param {Record<string, string>} packages The name each gets there, and exactly which package it is: `name@version`.
 */
export function fetchPackages(folder, packages) {
  const wanted = Object.entries(packages).map(([name, exact]) => `${name}@npm:${exact}`);
  const record = join(folder, "fetched.txt");
  if (existsSync(record) && readFileSync(record, "utf8") === wanted.join("\n")) {
    return;
  }
  say(`fetching ${Object.values(packages).join(", ")}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  // Several packages have a command of the same name. No script uses these commands, so none is linked.
  if (npm(["install", "--no-save", "--no-bin-links", "--prefix", folder, ...wanted]) !== 0) {
    fail("could not fetch them");
  }
  writeFileSync(record, wanted.join("\n"));
}

/**
 * Installs what the lock file names, and compiles what changed since the last time.
 *
 * @param {object} [options]
 * @param {boolean} [options.tests] Whether to compile the tests and the examples too. True unless given.
 * @param {boolean} [options.clean] Whether to remove the old output and compile everything.
 */
export function build({ tests = true, clean = false } = {}) {
  if (!isInstalled()) {
    say("node_modules is not what package-lock.json says: npm ci");
    if (npm(["ci"]) !== 0) {
      fail("npm ci failed");
    }
  }
  for (const project of tests ? [LIBRARY, TESTS] : [LIBRARY]) {
    compile(project, clean);
  }
  const entries = packedEntries();
  // What scripts/pack.mjs has left here.
  for (const file of filesIn("dist/packed").filter((path) => !entries.some(({ file: own }) => own === `./${path}`))) {
    rmSync(file);
  }
  for (const { file, module, isProgram } of entries) {
    const path = `../${module.slice("./dist/".length)}`;
    writeIfOther(file, isProgram ? `#!/usr/bin/env node\nimport "${path}";\n` : `export * from "${path}";\n`);
  }
}

/**
 * The files of dist/packed that package.json names, and the module behind each. They hold the code in what is published
 * (scripts/pack.mjs); here they only lead to the modules, so that tests which look into a module have no second copy of it.
 *
 * @param {string} [folder] Of the package.
 * @returns {{ name: string, file: string, module: string, isProgram: boolean }[]}
 */
export function packedEntries(folder = ".") {
  const { exports, bin } = readJson(join(folder, "package.json"));
  const entries = Object.values(exports).filter((target) => typeof target === "object");
  const all = [...entries, { default: `./${Object.values(bin)[0]}`, module: "./dist/cli/main.js" }];
  return all.map(({ default: file, module }, i) => ({
    name: basename(file, ".js"),
    file,
    module,
    isProgram: i === entries.length,
  }));
}

/**
 * Other processes may be reading it.
 *
 * @param {string} file
 * @param {string} content
 */
function writeIfOther(file, content) {
  if (!existsSync(file) || readFileSync(file, "utf8") !== content) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}

/**
 * The compiled test files, in a stable order. The tests that need other programs are apart: scripts/peers.mjs runs them.
 *
 * @param {object} [options]
 * @param {(folder: string) => boolean} [options.takes] Picks among the folders of test/; all of them unless given.
 * @param {string[]} [options.filters] Only paths that contain one of these; all of them if there is none.
 * @param {boolean} [options.peers] Whether to return the tests that need other programs, instead of the rest.
 * @returns {string[]}
 */
export function testFiles({ takes = () => true, filters = [], peers = false } = {}) {
  const files = filesIn("build/test").filter((file) => file.endsWith(".test.js"));
  return files
    .filter((file) => file.startsWith("build/test/interop/peers/") === peers)
    .filter((file) => takes(file.split("/")[2]))
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)));
}

/**
 * What `node --test` gets besides files. One file more at a time than there are cores, as some wait; an end for each, in
 * milliseconds, also where a file runs many tests, or many clients, on a busy machine.
 */
export const TEST_OPTIONS = ["--test", `--test-concurrency=${availableParallelism() + 1}`, "--test-timeout=600000"];

/**
 * What node runs, each in a process of its own: for each entry of `GROUPS` a program that imports its files, and the other
 * files. Node sorts them by path, so the groups come first, in their order.
 *
 * @param {string[]} files
 * @param {string} folder A new one, for the programs.
 * @returns {string[]}
 */
export function programsOf(files, folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const groups = GROUPS.map(({ parts, except = [] }) =>
    files.filter(
      (file) =>
        parts.some((part) => file.startsWith(`build/test/${part}`)) &&
        !except.some((name) => file.endsWith(`/${name}.test.js`)),
    ),
  );
  const programs = groups.flatMap((members, i) => {
    if (members.length === 0) {
      return [];
    }
    const program = `${folder}/${i}.js`;
    const imports = members.map((file) => `import ${JSON.stringify(relative(folder, file).replaceAll(sep, "/"))};\n`);
    writeFileSync(program, imports.join(""));
    return [program];
  });
  const grouped = new Set(groups.flat());
  return [...programs, ...files.filter((file) => !grouped.has(file))];
}

/**
 * Runs an example in this process, so that Ctrl-C reaches it as it would if node had been given its file.
 *
 * @param {string} name
 * @param {string[]} args What it finds in `process.argv` after its own path.
 */
export async function runExample(name, args) {
  const file = resolve("build/examples", `${name}.js`);
  if (!existsSync(file)) {
    fail(`there is no example ${name}; "npm run example" lists them`);
  }
  process.argv.splice(1, Number.POSITIVE_INFINITY, file, ...args);
  await import(pathToFileURL(file).href);
}

/**
 * The files in a folder and the folders in it, sorted, with slashes on every platform.
 *
 * @param {string} folder
 * @returns {string[]} None if there is no such folder.
 */
export function filesIn(folder) {
  if (!existsSync(folder)) {
    return [];
  }
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).replaceAll(sep, "/"))
    .sort();
}

/**
 * @param {string} path
 * @returns {any}
 */
export function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

/**
 * Whether the packages in a folder's node_modules are those that its lock file names.
 *
 * @param {string} [folder] This project's unless given.
 * @returns {boolean}
 */
export function isInstalled(folder = ".") {
  const record = join(folder, "node_modules/.package-lock.json");
  if (!existsSync(record)) {
    return false;
  }
  const installed = readJson(record).packages;
  return Object.entries(readJson(join(folder, "package-lock.json")).packages).every(
    ([path, { optional, version }]) => path === "" || optional || installed[path]?.version === version,
  );
}

/**
 * Compiles a project unless its output was made from just these inputs.
 *
 * @param {Project} project
 * @param {boolean} clean
 */
function compile({ name, config, inputs, sourceOf }, clean) {
  const record = join(CACHE, `${name}.txt`);
  if (clean) {
    say(`removing ${name}`);
    rmSync(name, { recursive: true, force: true });
  }
  // Taken before the compiler reads: what is edited meanwhile is compiled the next time.
  const state = fingerprint(inputs);
  if (existsSync(name) && existsSync(record) && readFileSync(record, "utf8") === state) {
    return;
  }
  say(`compiling ${Object.values(sourceOf).filter(existsSync).join(" and ")} to ${name}`);
  rmSync(record, { force: true });
  if (runTool("typescript", ["-p", config], "tsc") !== 0) {
    fail(`${name} does not compile`);
  }
  for (const [output, source] of Object.entries(sourceOf)) {
    removeOrphans(output, source);
  }
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(record, state);
}

/**
 * Removes the output of sources that are gone: a deleted test must not go on running.
 *
 * @param {string} output
 * @param {string} source
 */
function removeOrphans(output, source) {
  for (const file of filesIn(output)) {
    // build() writes these.
    if (file.startsWith("dist/packed/")) {
      continue;
    }
    const origin = join(source, file.slice(output.length + 1).replace(/(?:\.d)?\.([cm]?)[jt]s(?:\.map)?$/, ".$1ts"));
    if (!existsSync(origin)) {
      say(`removing ${file}: its source is gone`);
      rmSync(file);
    }
  }
}

/**
 * What changes when an input changes, appears or goes away.
 *
 * @param {string[]} inputs
 * @returns {string}
 */
function fingerprint(inputs) {
  return inputs
    .flatMap((input) => (existsSync(input) && statSync(input).isDirectory() ? filesIn(input) : [input]))
    .filter(existsSync)
    .map((file) => `${file} ${statSync(file).mtimeMs} ${statSync(file).size}`)
    .join("\n");
}
