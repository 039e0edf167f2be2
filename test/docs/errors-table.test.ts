/**
 * The page `docs/errors.md` lists every exported error with its codes, its properties and the functions that throw it. To
 * renew it: `npm run build && node build/test/docs/errors-table.test.js --update`.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { toOSError } from "#dist/asyncio/transports/os-errors.js";
import { type Documented, documented } from "../support/doc-comments.ts";
import { codes, lookupCodes, systemCodes, thrownElsewhere, tlsCodes } from "../support/errors-table.ts";
import { testGenerated } from "../support/generated.ts";
import { entryPoints, packageRoot } from "../support/paths.ts";

const PAGE = "docs/errors.md";
const PLACE = /(?<=<!-- errors -->\n)[\s\S]*(?=<!-- end of errors -->)/;
/** What JavaScript itself throws, and Node's `assert`. */
const BUILT_IN: Readonly<Record<string, string>> = {
  TypeError: "JavaScript's error for an argument of the wrong type. It has no `code`.",
  AssertionError: "The error of `node:assert`.",
};
/** What stands behind `@throws` without a class: an error of another call, or of user code. */
const ANY = "Errors that are passed on";

interface Thrown {
  readonly error: string;
  readonly by: string;
  readonly when: string;
}

const comments = documented();
const thrown = comments.flatMap(thrownIn);
const exporters = await exportedErrors();

async function exportedErrors(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const { specifier } of entryPoints) {
    for (const [name, value] of Object.entries((await import(specifier)) as Record<string, unknown>)) {
      if (typeof value === "function" && value.prototype instanceof Error) {
        found.set(name, [...(found.get(name) ?? []), specifier]);
      }
    }
  }
  return found;
}

function thrownIn({ name, comment }: Documented): Thrown[] {
  const tags = comment.matchAll(/^@throws (?:\{(\w+)\} )?([\s\S]*?)(?=^@|\n\n|$(?![\s\S]))/gm);
  return [...tags].map(([, error = ANY, when = ""]) => ({ error, by: `\`${name}\``, when: proseOf(when) }));
}

/** Text of a doc comment as one line of Markdown. */
function proseOf(text: string): string {
  return text
    .replaceAll(/\{@link(?:code)? (\w+)\}/g, "`$1`")
    .replaceAll(/\s+/g, " ")
    .replaceAll("|", "\\|")
    .trim();
}

function codeTables(): string[] {
  const own = Object.entries(codes).map(
    ([code, [classes, when]]) => `| \`${code}\` | ${classes.split(", ").map(linkTo).join(", ")} | ${when} |`,
  );
  const system = Object.entries(systemCodes).map(
    ([code, [error, errno, when]]) => `| \`${code}\` | ${errno ?? ""} | ${linkTo(error)} | ${when} |`,
  );
  const lookup = Object.entries(lookupCodes).map(([code, [errno, when]]) => `| \`${code}\` | ${errno} | ${when} |`);
  const tls = Object.entries(tlsCodes).map(([code, [error, when]]) => `| \`${code}\` | ${linkTo(error)} | ${when} |`);
  return [
    "## Codes of this package",
    "",
    "| code | class | what happened |",
    "| --- | --- | --- |",
    ...own,
    "",
    "## Codes of the operating system",
    "",
    "`code` is Node's, `errno` is Node's number, here that of Linux. Every code that is not listed is an `OSError`.",
    "",
    "| code | errno | class | what happened |",
    "| --- | ---: | --- | --- |",
    ...system,
    "",
    "## Codes of name look-ups",
    "",
    "The class is `gaierror`; `errno` is the number of `getaddrinfo()`, as in Python. Every other code has -4.",
    "",
    "| code | errno | what happened |",
    "| --- | ---: | --- |",
    ...lookup,
    "",
    "## Codes of TLS",
    "",
    "| code | class | what happened |",
    "| --- | --- | --- |",
    ...tls,
    "",
  ];
}

function linkTo(error: string): string {
  return `[\`${error}\`](#${error.toLowerCase()})`;
}

function classSection(name: string): string[] {
  const { base, comment } = comments.find((each) => each.name === name) as Documented;
  const [text = "", python = ""] = comment.split(/^(?=Python:)|(?<=\. )(?=Python:)/m);
  const properties = comments
    .filter(({ owner, name: member }) => owner === name && /^\w+\.(?!code$)[a-z]\w*$/.test(member))
    .map(({ name: member, comment: about }) => `- \`${member.split(".")[1]}\`: ${proseOf(about)}`);
  const own = codesOf(name).map((code) => `\`${code}\``);
  const from = exporters.get(name)?.map((specifier) => `\`${specifier}\``);
  return [
    `### \`${name}\``,
    "",
    proseOf(text),
    "",
    ...(own.length > 0 ? [`${own.length === 1 ? "Code" : "Codes"}: ${own.join(", ")}.`, ""] : []),
    ...(properties.length > 0 ? [...properties, ""] : []),
    `Extends ${exporters.has(base) ? linkTo(base) : `\`${base}\``}. Exported by ${from?.join(", ")}. ${proseOf(python)}`,
    "",
    ...(thrownElsewhere[name] === undefined ? [] : [thrownElsewhere[name], ""]),
    ...throwers(name),
  ];
}

function codesOf(name: string): string[] {
  if (name === "gaierror") {
    return Object.keys(lookupCodes);
  }
  return [...Object.entries(codes), ...Object.entries(systemCodes), ...Object.entries(tlsCodes)]
    .filter(([, [classes]]) => classes.split(", ").includes(name))
    .map(([code]) => code);
}

function throwers(error: string): string[] {
  const rows = new Set(thrown.filter((each) => each.error === error).map(({ by, when }) => `| ${by} | ${when} |`));
  return rows.size === 0 ? [] : ["| thrown by | |", "| --- | --- |", ...rows, ""];
}

function contents(): string {
  const builtIn = Object.entries(BUILT_IN).flatMap(([name, about]) => [
    `### \`${name}\``,
    "",
    about,
    "",
    ...throwers(name),
  ]);
  return [
    "",
    ...codeTables(),
    "## Classes",
    "",
    ...[...exporters.keys()].sort((a, b) => a.localeCompare(b, "en")).flatMap(classSection),
    "## Other errors",
    "",
    ...builtIn,
    `### ${ANY}`,
    "",
    ...throwers(ANY),
  ].join("\n");
}

/**
 * For each code in the sources, the class that it is given to: the one that is made there, or that is declared there.
 */
function codesInSources(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  const folder = join(packageRoot, "src");
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  )) {
    const source = readFileSync(join(folder, file), "utf8");
    for (const { 1: code = "", index } of source.matchAll(/(?:code(?: =|:)|\?\?) "(ERR_\w+|SIGINT)"/g)) {
      const [, made, declared] = [...source.slice(0, index).matchAll(/new (\w+)\(|export class (\w+)/g)].at(-1) ?? [];
      found.set(code, (found.get(code) ?? new Set()).add(made ?? declared ?? ""));
    }
  }
  return found;
}

testGenerated("the page of errors says what the exports and the doc comments say", PAGE, PLACE, contents());

describe("the page of errors", () => {
  it("has every code of the sources, with the classes that bear it", () => {
    const wanted = [...codesInSources()].map(([code, classes]) => [code, [...classes].sort().join(", ")]);
    assert.deepEqual(
      Object.fromEntries(Object.entries(codes).map(([code, [classes]]) => [code, classes])),
      Object.fromEntries(wanted),
    );
  });

  it("lists for every class the functions that throw it", () => {
    const unthrown = [...exporters.keys()].filter(
      (name) => thrownElsewhere[name] === undefined && !thrown.some(({ error }) => error === name),
    );
    assert.deepEqual(unthrown, []);
  });

  it("knows the class of every error that a doc comment names", () => {
    const unknown = thrown.filter(({ error }) => !exporters.has(error) && !(error in BUILT_IN) && error !== ANY);
    assert.deepEqual(unknown, []);
  });

  it("has every code of the operating system that has a class of its own", () => {
    for (const code of new Set([...Object.keys(constants.errno), ...Object.keys(systemCodes)])) {
      const errno = (constants.errno as Readonly<Record<string, number>>)[code];
      const error = Object.assign(new Error(code), { code, ...(errno === undefined ? {} : { errno: -errno }) });
      assert.equal((toOSError(error) as Error).name, systemCodes[code]?.[0] ?? "OSError", code);
      if (process.platform === "linux" && errno !== undefined && code in systemCodes) {
        assert.equal(systemCodes[code]?.[1], -errno, code);
      }
    }
  });

  it("has the classes of the codes of TLS", () => {
    for (const [code, [error]] of Object.entries(tlsCodes)) {
      const each = Object.assign(new Error(code), { code: code.replace("*", "X") });
      assert.equal((toOSError(each) as Error).name, error, code);
    }
  });

  it("has the numbers of name look-ups", () => {
    const source = readFileSync(join(packageRoot, "src/asyncio/transports/addresses.ts"), "utf8");
    const numbers = [...source.matchAll(/^ +(E\w+): \[(-\d+), "(.*)"\]/gm)].map(([, code = "", errno, when]) => [
      code,
      [Number(errno), when],
    ]);
    const { EAI_ADDRFAMILY: _, ...others } = lookupCodes;
    assert.deepEqual(others, Object.fromEntries(numbers));
  });
});
