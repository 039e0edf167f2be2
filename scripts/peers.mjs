/**
 * Builds, installs the programs that the tests talk to where that is possible, and runs the tests against them.
 *
 *     npm run test:peers                all of them; on Debian, as root, what is missing is installed first
 *     npm run test:peers -- redis smtp  those with "redis" or "smtp" in the path
 *
 * What cannot be installed is said, and its tests are skipped. Every program runs on this machine's own addresses only,
 * with a configuration of its own, and ends with its test.
 */
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { CAN_FETCH, obtainFrameworks, obtainRuntime, obtainTestRunners, obtainTsx } from "./obtain.mjs";
import { build, fail, run, say, TEST_OPTIONS, testFiles } from "./support.mjs";

/**
 * Which of Debian's packages bring a program; some of the packages bring what it cannot do without.
 *
 * @type {Record<string, string[]>}
 */
const PACKAGES = {
  curl: ["curl"],
  exim4: ["exim4-daemon-light"],
  mariadbd: ["mariadb-server-core"],
  mosquitto: ["mosquitto"],
  nc: ["netcat-openbsd"],
  nginx: ["nginx", "libnginx-mod-stream"],
  openssl: ["openssl"],
  postgres: ["postgresql"],
  "redis-benchmark": ["redis-tools"],
  "redis-cli": ["redis-tools"],
  "redis-server": ["redis-server"],
  socat: ["socat"],
  swaks: ["swaks", "libnet-ssleay-perl"],
  wrk: ["wrk"],
};

/** The programs with packages of others run on each of these, where it can be had. */
const RUNTIMES = ["node20", "node22", "node24", "node26", "bun", "deno"];

const filters = process.argv.slice(2);

build();
install(missing());
const absent = missing();
if (absent.length > 0) {
  say(`not installed, so their tests are skipped: ${absent.join(", ")}`);
}
const files = testFiles({ peers: true, filters });
if (files.length === 0) {
  fail(`there is no test file with ${filters.join(" or ")} in its path`);
}
obtainFrameworks();
obtainTestRunners();
obtainTsx();
if (CAN_FETCH) {
  const paths = RUNTIMES.map((name) => [name, resolve(obtainRuntime(name) ?? "")]);
  process.env.RUNTIMES = JSON.stringify(Object.fromEntries(paths));
}
say(`running ${files.length} test files`);
process.exitCode = run(process.execPath, [...TEST_OPTIONS, "--test-reporter=spec", ...files]);

/**
 * The programs that are not there.
 *
 * @returns {string[]}
 */
function missing() {
  return Object.keys(PACKAGES).filter((program) => !isInstalled(program));
}

/**
 * Whether a program is in the PATH, or where servers lie.
 *
 * @param {string} program
 * @returns {boolean}
 */
function isInstalled(program) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin", ...postgresFolders()];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Debian has the programs of PostgreSQL in a folder for each version. */
function postgresFolders() {
  const folder = "/usr/lib/postgresql";
  return existsSync(folder) ? readdirSync(folder).map((version) => join(folder, version, "bin")) : [];
}

/**
 * Installs the programs, if this machine lets us; a failure shows in what is still missing.
 *
 * @param {string[]} programs
 */
function install(programs) {
  if (programs.length === 0) {
    return;
  }
  if (process.getuid?.() !== 0 || !isInstalled("apt-get")) {
    say(`cannot install ${programs.join(", ")}: that takes root and apt-get`);
    return;
  }
  const packages = [...new Set(programs.flatMap((program) => PACKAGES[program] ?? []))];
  say(`installing ${packages.join(", ")} with apt-get`);
  // In runlevel 1 no service is started; the tests start their own.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  run("apt-get", ["update", "-qq"], { env });
  run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages], { env });
}
