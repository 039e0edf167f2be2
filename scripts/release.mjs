/**
 * Makes a release ready: runs every check, and gives the *Unreleased* part of the changelog the version and today's date.
 *
 *     npm run release -- 0.1.0             checks all, then writes package.json, package-lock.json and CHANGELOG.md
 *     npm run release -- 0.1.0 --dry-run   checks all, and writes nothing
 *
 * It neither commits nor publishes: it prints the commands that do.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { obtainRuntime } from "./obtain.mjs";
import { fail, npm, readJson, run, say } from "./support.mjs";

const UNRELEASED = "## [Unreleased]";
const [version = "", option] = process.argv.slice(2);
if (!/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version) || (option !== undefined && option !== "--dry-run")) {
  fail(`npm run release takes a version such as 0.1.0, and perhaps --dry-run; got ${process.argv.slice(2).join(" ")}`);
}

const changelog = readFileSync("CHANGELOG.md", "utf8");
const [, news = ""] = changelog.split(`${UNRELEASED}\n`);
if (news.split(/^## \[/m)[0]?.trim() === "") {
  fail("CHANGELOG.md says of nothing new under Unreleased");
}
if (changelog.includes(`## [${version}]`)) {
  fail(`CHANGELOG.md has version ${version} already`);
}
if (spawnSync("git", ["status", "--porcelain"], { encoding: "utf8" }).stdout !== "") {
  fail("there are changes that are not committed: commit them first");
}
if (run("bash", [".ci/run"]) !== 0 || npm(["publish", "--dry-run"]) !== 0 || rehearseJsr() !== 0) {
  fail("not ready to be released");
}
if (option === "--dry-run") {
  say(`${version} is ready to be released; nothing was written`);
  process.exit();
}

const date = new Date().toISOString().slice(0, 10);
writeFileSync("CHANGELOG.md", changelog.replace(UNRELEASED, `${UNRELEASED}\n\n## [${version}] - ${date}`));
if (readJson("package.json").version !== version && npm(["version", version, "--no-git-tag-version"]) !== 0) {
  fail("npm version failed");
}
say(`next, and from a job that can attest where the package was built:
  git commit --all --message "Version ${version}" && git tag v${version}
  npm publish --provenance`);

/**
 * Whether the sources could be published for Deno, where each export has to say its type. They were checked already, by the
 * compiler of this project and with Node's types.
 *
 * @returns {number} An exit status.
 */
function rehearseJsr() {
  const deno = obtainRuntime("deno");
  if (deno === undefined) {
    say("there is no Deno here: its publication is not rehearsed");
    return 0;
  }
  const { name, license, exports } = readJson("package.json");
  const sources = Object.entries(exports).flatMap(([path, target]) =>
    typeof target === "string" ? [] : [[path, target["@contextvars/source"]]],
  );
  const manifest = { name: `@${name}/${name}`, version, license, exports: Object.fromEntries(sources) };
  writeFileSync("jsr.json", JSON.stringify({ ...manifest, publish: { include: ["src", "README.md", "LICENSE"] } }));
  try {
    return run(deno, ["publish", "--dry-run", "--allow-dirty", "--no-check"]);
  } finally {
    rmSync("jsr.json");
  }
}
