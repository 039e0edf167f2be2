/**
 * The documentation site in docs/: VitePress, with the reference made from the doc comments.
 *
 *     npm run docs                serves it, and follows changes of its pages
 *     npm run docs -- --build     builds it into docs/.vitepress/dist
 *     npm run docs -- --check     builds it, and looks at it as a visitor would, in headless Chromium
 *
 * Pages that stand elsewhere in the project, such as DIFFERENCES.md, are copied into docs/ with their links adapted; git
 * ignores the copies.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { commandOf, fail, filesIn, isInstalled, npm, readJson, run, say } from "./support.mjs";

/**
 * Files of the project that are pages of the site as well.
 *
 * @type {Record<string, string>}
 */
const COPIES = {
  "ARCHITECTURE.md": "docs/architecture.md",
  "CHANGELOG.md": "docs/changelog.md",
  "CONTRIBUTING.md": "docs/contributing.md",
  "DIFFERENCES.md": "docs/differences.md",
  "SECURITY.md": "docs/security.md",
  "bench/README.md": "docs/benchmarks.md",
};

const [mode = "--serve", ...others] = process.argv.slice(2);
if (!["--serve", "--build", "--check"].includes(mode) || others.length > 0) {
  fail(`npm run docs takes nothing, --build or --check; got ${process.argv.slice(2).join(" ")}`);
}

install();
copyPages();
makeReference();
writeOverview();
if (mode === "--serve") {
  process.exitCode = vitepress("dev");
} else {
  process.exitCode = vitepress("build") || (mode === "--check" ? run(process.execPath, ["docs/check.mjs"]) : 0);
}

function install() {
  if (!isInstalled("docs")) {
    say("docs/node_modules is not what docs/package-lock.json says: npm ci");
    if (npm(["ci", "--prefix", "docs"]) !== 0) {
      fail("npm ci failed");
    }
  }
}

function copyPages() {
  for (const [from, to] of Object.entries(COPIES)) {
    writeFileSync(to, adaptLinks(readFileSync(from, "utf8"), from, to));
  }
}

/**
 * Links between pages keep working on the site. What a visitor of the site cannot open is shown without its link.
 *
 * @param {string} text
 * @param {string} from
 * @param {string} to
 * @returns {string}
 */
function adaptLinks(text, from, to) {
  return text.replaceAll(
    /(!?)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)/g,
    (_link, image, label, path, anchor = "") => {
      const target = join(dirname(from), path);
      const page = COPIES[target] ?? (target.startsWith("docs/") ? target : undefined);
      if (page !== undefined) {
        return `${image}[${label}](./${relative(dirname(to), page)}${anchor})`;
      }
      if (image !== "") {
        return `![${label}](./${relative(dirname(to), target)})`;
      }
      return target.startsWith("examples/") ? `[${label}](./cookbook.md)` : label;
    },
  );
}

function makeReference() {
  const exported = Object.values(readJson("package.json").exports);
  const entryPoints = exported.map((target) => target["@contextvars/source"]).filter((file) => file !== undefined);
  const args = entryPoints.flatMap((file) => ["--entryPoints", file]);
  const status = run(process.execPath, [
    commandOf("docs/node_modules/typedoc"),
    "--options",
    "docs/typedoc.json",
    "--logLevel",
    "Warn",
    ...args,
  ]);
  if (status !== 0) {
    fail("the reference could not be made from the doc comments");
  }
}

/** For language models: what the package is, and where each page is, as plain text. */
function writeOverview() {
  const { name, description } = readJson("package.json");
  const pages = filesIn("docs")
    .filter((file) => /^docs\/(?:guides\/)?[\w-]+\.md$/.test(file) && file !== "docs/index.md")
    .map((file) => {
      const [, title = file] = /^# (.+)$/m.exec(readFileSync(file, "utf8")) ?? [];
      return `- [${title}](/${file.replace(/^docs\/|\.md$/g, "")})`;
    });
  mkdirSync("docs/public", { recursive: true });
  writeFileSync("docs/public/llms.txt", [`# ${name}`, "", `> ${description}`, "", ...pages, ""].join("\n"));
}

/** @param {string} command */
function vitepress(command) {
  return run(process.execPath, [commandOf("docs/node_modules/vitepress"), command, "docs"]);
}
