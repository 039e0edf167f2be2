/** contextvars/testing, packed and installed, in a small project of node:test. Other runners: test/interop/peers. */
import { after, before, describe, it } from "node:test";
import { nodeTest, TestProjects } from "../support/test-runners.ts";

describe("contextvars/testing under node:test", () => {
  const projects = new TestProjects();
  before(() => projects.fill());
  after(() => projects[Symbol.dispose]());

  for (const extension of ["mjs", "cjs"] as const) {
    it(`asyncioTest(): tests pass and fail with the right text (${extension})`, () =>
      projects.check(`node-test-${extension}`, nodeTest(process.execPath, extension)));
  }
});
