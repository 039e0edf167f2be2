/**
 * Compiles programs against the packed package as its users do: every entry point, with each compiler, module resolution
 * and format of modules, with and without Node's types, and with the declarations checked (`skipLibCheck` off).
 */
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { CACHE, commandOf, fail, fetchPackages, mapAtSameTime, npm, readJson, say } from "./support.mjs";

const COMPILERS_FOLDER = join(CACHE, "compilers");
const OLD_COMPILERS = {
  "typescript-5.4": "typescript@5.4.5",
  "typescript-5.9": "typescript@5.9.3",
  "typescript-6.0": "typescript@6.0.3",
};
/** In how many ways a program can import, and by which compilers it can be told so. */
const SHAPES = [
  { name: "nodenext, ES module", oldest: "5.4", shape: { module: "nodenext", extension: "mts" } },
  // An older compiler refuses to require() an ES module.
  { name: "nodenext, CommonJS", oldest: "5.9", shape: { module: "nodenext", extension: "cts" } },
  { name: "bundler", oldest: "5.4", shape: { module: "esnext", moduleResolution: "bundler", extension: "ts" } },
];
/** Programs as users write them: with Node's types, and without. */
const WITH_NODE_TYPES = "test/types/consumer/asyncio.ts";
const WITHOUT_NODE_TYPES = "test/types/consumer/contextvars.ts";
/** What a compiler says of declarations that speak of Node's types where there are none. */
const NO_NODE_TYPES = /error TS2688: Cannot find type definition file for 'node'/;

/**
 * @param {string} tarball
 * @returns {Promise<number>} An exit status.
 */
export async function checkConsumers(tarball) {
  fetchPackages(COMPILERS_FOLDER, OLD_COMPILERS);
  const compilers = [
    ...Object.keys(OLD_COMPILERS).map((name) => join(COMPILERS_FOLDER, "node_modules", name)),
    "node_modules/typescript",
  ];
  // Not in this project: a compiler would find the types that are installed here.
  const projects = mkdtempSync(join(tmpdir(), "contextvars-consumers-"));
  const withTypes = makeProject(join(projects, "with-node-types"), tarball);
  for (const peer of ["@types/node", "undici-types", ...Object.keys(readJson("package.json").peerDependencies)]) {
    link(peer, withTypes);
  }
  const withoutTypes = makeProject(join(projects, "without-node-types"), tarball);
  const entryPoints = Object.keys(readJson("package.json").exports).filter((path) => path !== "./package.json");
  const all = entryPoints
    .map((path, index) => `export * as entry${index} from "contextvars${path.slice(1)}";\n`)
    .join("");

  const tasks = compilers.flatMap((compiler) => {
    const version = readJson(join(compiler, "package.json")).version;
    return SHAPES.filter(({ oldest }) => isAtLeast(version, oldest)).map(({ name, shape }) => ({
      compiler,
      shape,
      name: `typescript ${version}: ${name}`,
    }));
  });
  try {
    const complaints = await mapAtSameTime(tasks, async ({ compiler, shape, name }) => {
      say(name);
      const complaint =
        (await compile(compiler, withTypes, shape, all + readFileSync(WITH_NODE_TYPES, "utf8"))) ||
        (await compile(compiler, withoutTypes, shape, readFileSync(WITHOUT_NODE_TYPES, "utf8")));
      if (complaint !== "") {
        return [`${name}: ${complaint}`];
      }
      return NO_NODE_TYPES.test(await compile(compiler, withoutTypes, shape, all))
        ? []
        : [`${name}: nothing is said of Node's types, which are not there`];
    });
    for (const complaint of complaints.flat()) {
      say(complaint);
    }
    return complaints.flat().length === 0 ? 0 : 1;
  } finally {
    rmSync(projects, { recursive: true, force: true });
  }
}

/**
 * Makes an empty project with the package in it.
 *
 * @param {string} folder
 * @param {string} tarball
 */
function makeProject(folder, tarball) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true }));
  if (npm(["install", "--offline", "--omit=peer", "--silent", "--prefix", folder, resolve(tarball)]) !== 0) {
    fail("the tarball cannot be installed");
  }
  return folder;
}

/**
 * @param {string} name
 * @param {string} folder
 */
function link(name, folder) {
  const path = join(folder, "node_modules", name);
  mkdirSync(dirname(path), { recursive: true });
  cpSync(join("node_modules", name), path, { recursive: true });
}

/**
 * @param {string} version
 * @param {string} oldest
 */
function isAtLeast(version, oldest) {
  return version.localeCompare(oldest, "en", { numeric: true }) >= 0;
}

let compilations = 0;

/**
 * @param {string} compiler
 * @param {string} folder
 * @param {{ module: string, moduleResolution?: string, extension: string }} shape
 * @param {string} code
 * @returns {Promise<string>} What the compiler complains of.
 */
async function compile(compiler, folder, { extension, module, moduleResolution = module }, code) {
  // Several run at the same time.
  compilations += 1;
  const file = `main${compilations}.${extension}`;
  const config = join(folder, `tsconfig${compilations}.json`);
  writeFileSync(join(folder, file), code);
  const compilerOptions = {
    target: "es2022",
    lib: ["es2022", "dom"],
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    declaration: true,
    noEmit: true,
    module,
    moduleResolution,
  };
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [file] }));
  const child = spawn(process.execPath, [commandOf(compiler, "tsc"), "-p", config], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = await Promise.all([text(child.stdout), text(child.stderr)]);
  return output.join("");
}
