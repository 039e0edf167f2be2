/**
 * Compiles programs against the packed package as its users do: every entry point, with each compiler, module resolution
 * and format of modules, with and without Node's types, and with the declarations checked (`skipLibCheck` off).
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { CACHE, commandOf, fail, fetchPackages, npm, readJson, say } from "./support.mjs";

const COMPILERS_FOLDER = join(CACHE, "compilers");
const OLD_COMPILERS = {
  "typescript-5.4": "typescript@5.4.5",
  "typescript-5.9": "typescript@5.9.3",
  "typescript-6.0": "typescript@6.0.3",
};
/** In how many ways a program can import, and by which compilers it can be told so. */
const SHAPES = [
  { name: "nodenext, ES module", module: "nodenext", extension: "mts", oldest: "5.4" },
  // An older compiler refuses to require() an ES module.
  { name: "nodenext, CommonJS", module: "nodenext", extension: "cts", oldest: "5.9" },
  { name: "bundler", module: "esnext", moduleResolution: "bundler", extension: "ts", oldest: "5.4" },
];
/** Programs as users write them: with Node's types, and without. */
const WITH_NODE_TYPES = "test/types/consumer/asyncio.ts";
const WITHOUT_NODE_TYPES = "test/types/consumer/contextvars.ts";
/** What a compiler says of declarations that speak of Node's types where there are none. */
const NO_NODE_TYPES = /error TS2688: Cannot find type definition file for 'node'/;

/**
 * @param {string} tarball
 * @returns {number} An exit status.
 */
export function checkConsumers(tarball) {
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

  try {
    for (const compiler of compilers) {
      const version = readJson(join(compiler, "package.json")).version;
      for (const { name, oldest: _, ...shape } of SHAPES.filter(({ oldest }) => isAtLeast(version, oldest))) {
        say(`typescript ${version}: ${name}`);
        const complaint =
          compile(compiler, withTypes, shape, all + readFileSync(WITH_NODE_TYPES, "utf8")) ||
          compile(compiler, withoutTypes, shape, readFileSync(WITHOUT_NODE_TYPES, "utf8"));
        if (complaint !== "") {
          say(complaint);
          return 1;
        }
        if (!NO_NODE_TYPES.test(compile(compiler, withoutTypes, shape, all))) {
          say("nothing is said of Node's types, which are not there");
          return 1;
        }
      }
    }
  } finally {
    rmSync(projects, { recursive: true, force: true });
  }
  return 0;
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

/**
 * @param {string} compiler
 * @param {string} folder
 * @param {{ module: string, moduleResolution?: string, extension: string }} shape
 * @param {string} code
 * @returns {string} What the compiler complains of.
 */
function compile(compiler, folder, { extension, module, moduleResolution = module }, code) {
  const file = `main.${extension}`;
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
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: [file] }));
  const { stdout, stderr } = spawnSync(process.execPath, [commandOf(compiler, "tsc"), "-p", folder], {
    encoding: "utf8",
  });
  return stdout + stderr;
}
