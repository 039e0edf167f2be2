/** The packed package, installed, under `node --watch`. On other versions of Node, and under tsx: test/interop/peers. */
import { after, before, describe, it } from "node:test";
import { ProgramFolder } from "../support/entry-points-program.ts";

describe("node --watch", () => {
  const programs = new ProgramFolder();
  before(() => programs.fill());
  after(() => programs[Symbol.dispose]());

  const skip = process.platform === "win32" ? "Windows has no signal that a program can handle" : false;

  it("a program with every entry point ends and begins anew when a file changes", { skip }, () =>
    programs.checkWatch(process.execPath),
  );
});
