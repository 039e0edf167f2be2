/** A program in TypeScript with every entry point of the installed package: under tsx, with its types stripped, and watched. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ProgramFolder } from "../../support/entry-points-program.ts";
import { runtimes } from "../../support/frameworks.ts";
import { packageRoot } from "../../support/paths.ts";

const FOLDER = join(packageRoot, ".cache/tsx");
const TSX = join(FOLDER, "node_modules/tsx");
const missing = existsSync(join(FOLDER, "installed.json")) ? false : "npm run test:peers installs tsx";

describe("a program with every entry point", { skip: missing }, () => {
  const programs = new ProgramFolder();
  before(async () => {
    await programs.fill();
    programs.link("tsx", TSX);
  });
  after(() => programs[Symbol.dispose]());

  for (const { name, path } of runtimes.filter(({ name: each }) => each.startsWith("node"))) {
    const version = Number(/^node(\d+)/.exec(name)?.[1] ?? process.versions.node.split(".")[0]);
    for (const extension of ["mts", "ts"] as const) {
      it(`runs under tsx (${extension}, ${name})`, () =>
        programs.checkTypeScript(path, [join(TSX, "dist/cli.mjs")], extension));

      it(`runs with --import tsx (${extension}, ${name})`, () =>
        programs.checkTypeScript(path, ["--import", "tsx"], extension));
    }

    if (version >= 22) {
      it(`runs with its types stripped (${name})`, () => programs.checkTypeScript(path, [], "mts"));
    }

    it(`ends and begins anew under --watch (${name})`, () => programs.checkWatch(path));
  }
});
