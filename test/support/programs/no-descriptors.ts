/** Opens files until no descriptor is left, and prints what each call then fails with. */
import { openSync } from "node:fs";
import * as asyncio from "contextvars/asyncio";

const [path = ""] = process.argv.slice(2);
const handler = (_reader: asyncio.StreamReader, writer: asyncio.StreamWriter): void => writer.close();
const server = await asyncio.startServer(handler, "127.0.0.1", 0);
const port = server.sockets[0]?.getsockname().port ?? 0;
// What the runtime opens once, for the first call of its kind, is open already.
await (await asyncio.createSubprocessShell("exit 0")).wait();
const [, writer] = await asyncio.openConnection("127.0.0.1", port);
await writer[Symbol.asyncDispose]();
for (const pair of await asyncio.socketpair()) {
  pair.destroy();
}

const calls: Readonly<Record<string, () => Promise<unknown>>> = {
  "openConnection()": () => asyncio.openConnection("127.0.0.1", port),
  "openUnixConnection()": () => asyncio.openUnixConnection(path),
  "startUnixServer()": () => asyncio.startUnixServer(handler, path),
  "socketpair()": () => asyncio.socketpair(),
  "createSubprocessExec()": () => asyncio.createSubprocessExec("true", [], { stdout: asyncio.PIPE }),
  "createSubprocessShell()": () => asyncio.createSubprocessShell("true", { stdout: asyncio.PIPE }),
};
try {
  for (;;) {
    openSync("/dev/null", "r");
  }
} catch {
  // No descriptor is left.
}
const found: Record<string, unknown> = {};
for (const [name, call] of Object.entries(calls)) {
  found[name] = await call().then(
    () => "no error",
    (error: unknown) =>
      error instanceof asyncio.OSError
        ? { code: error.code, errno: error.errno, message: error.message }
        : `no OSError: ${String(error)}`,
  );
}
console.log(JSON.stringify(found));
process.exit();
