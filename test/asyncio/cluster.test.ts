/** Servers in the workers of a cluster, which share a listening socket. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { runProgram } from "../support/programs.ts";
import { limitOf } from "../support/runtime-limits.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

describe("Servers in a cluster", () => {
  for (const host of ["127.0.0.1", "localhost", ""]) {
    it(`startServer() at ${host === "" ? "every address" : host} serves until the last worker has closed it`, async () => {
      assert.deepEqual(await runProgram("in-cluster.js", "tcp", host), [
        false,
        "served",
        "served",
        false,
        "served",
        false,
        "ConnectionRefusedError",
      ]);
    });
  }

  for (const stale of [false, true]) {
    const where = stale ? ", in place of a socket that was left" : "";
    const options = { skip: stale && limitOf("stale socket in a cluster") };
    it(`startUnixServer() serves until the last worker has closed it${where}`, options, async () => {
      using folder = new TemporaryFolder();
      const path = `${folder.path}/socket`;
      if (stale) {
        const left = await asyncio.startUnixServer(() => {}, path, { cleanupSocket: false });
        left.close();
        await left.waitClosed();
      }
      assert.deepEqual(await runProgram("in-cluster.js", "unix", path), [
        true,
        "served",
        "served",
        true,
        "served",
        false,
        "FileNotFoundError",
      ]);
    });
  }
});
