/** The package in a realm of its own, with Node's modules, whose bytes and errors are then of another realm. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { runNode } from "../support/commands.ts";
import { programPath } from "../support/paths.ts";

it("streams, servers, variables and errors work in a realm that has an Error and a Uint8Array of its own", async () => {
  const flags = ["--experimental-vm-modules", "--no-warnings"];
  const { stdout, stderr } = await runNode([...flags, programPath("in-realm.js")], { timeout: 60 });
  assert.equal(stderr, "");
  assert.deepEqual(JSON.parse(stdout), [
    ["a\n", 2, "b\n"],
    ["a\n", 2, "b\n"],
    ["FileNotFoundError", true],
  ]);
});
