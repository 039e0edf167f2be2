/**
 * Python's asyncio at the other end, in both roles.
 *
 * The same conversations are held three times: Python with Python, this library as the client, this library as the
 * server. All three have to come to the same.
 */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import * as asyncio from "contextvars/asyncio";
import { missing } from "../support/external.ts";
import { portOf, Reports, serve } from "../support/peers.ts";
import { converse, PYTHON_COMMANDS, serveCommands } from "../support/peers-commands.ts";
import { runPythonProgram, startPython } from "../support/peers-python.ts";
import { runtime } from "../support/runtime.ts";

const COMMANDS = ["lines", "frames", "digest", "push", "echo", "partial", "long", "separators", "reset"];
const WHAT: Readonly<Record<string, string>> = {
  lines: "lines, of any length up to the limit, the last one without a newline",
  frames: "frames of up to 300 KB with their length in front",
  digest: "a megabyte up, then a half-close, then the answer",
  push: "a megabyte down, then a half-close from the server",
  echo: "a megabyte in both directions at the same time",
  partial: "an end in the middle of what was asked for",
  long: "a line over the limit",
  separators: "separators of several bytes",
  reset: "a reset of the connection",
};

/** How to start the program that inherits a socket. */
function inherited(what: string): string[] {
  const before = runtime === "deno" ? ["run", "-A", "--no-check"] : [];
  return [process.execPath, ...before, fileURLToPath(new URL("../support/peers-inherited.js", import.meta.url)), what];
}

describe("asyncio in Python as a peer", { skip: missing("python3") }, () => {
  /** What a client saw, by the pair of peers and the command. */
  const seen: Record<string, Record<string, unknown>> = {};

  before(async () => {
    await using python = startPython(PYTHON_COMMANDS, "serve");
    const [, port = ""] = await python.printed(/port (\d+)/);
    seen["Python with Python"] = JSON.parse(await runPythonProgram(PYTHON_COMMANDS, "converse", port)) as never;
    seen["as a client of Python"] = await converse(Number(port));
    await using serving = await serve(serveCommands);
    const output = await runPythonProgram(PYTHON_COMMANDS, "converse", String(serving.port));
    seen["as a server for Python"] = JSON.parse(output) as never;
    seen["with itself"] = await converse(serving.port);
  });

  for (const command of COMMANDS) {
    for (const role of ["as a client of Python", "as a server for Python", "with itself"]) {
      it(`contextvars/asyncio ${role} sees what Python sees with Python: ${WHAT[command]}`, () => {
        for (const key of [command, `${command}, closed`]) {
          const python = seen["Python with Python"]?.[key];
          assert.notEqual(python, undefined);
          assert.deepEqual(seen[role]?.[key], python);
        }
      });
    }
  }

  it("startServer() serves 200 asyncio clients in Python at the same time", async () => {
    using reports = new Reports();
    await using serving = await serve(serveCommands, { backlog: 500 });
    assert.equal(await runPythonProgram(PYTHON_COMMANDS, "crowd", String(serving.port), "200"), "200\n");
    assert.deepEqual(reports.all, []);
  });

  it("openConnection() connects 200 times at the same time to an asyncio server in Python", async () => {
    await using python = startPython(PYTHON_COMMANDS, "serve");
    const [, port = ""] = await python.printed(/port (\d+)/);
    const client = async (id: number): Promise<number> => {
      const [reader, writer] = await asyncio.openConnection("127.0.0.1", Number(port));
      writer.write("lines\n");
      for (let turn = 0; turn < 5; turn++) {
        const line = `client ${id}, line ${turn}\n`;
        writer.write(line);
        await writer.drain();
        assert.equal(String(await reader.readline()), line);
      }
      writer.writeEof();
      assert.equal((await reader.read()).length, 0);
      writer.close();
      await writer.waitClosed();
      return id;
    };
    const ids = Array.from({ length: 200 }, (_, id) => id);
    assert.deepEqual(await asyncio.gather(ids.map((id) => () => client(id))), ids);
  });

  it("startServer({ sock: { fd } }) serves at a socket that a Python program made and handed on", async () => {
    const program = `
import os, socket, subprocess, sys
listening = socket.create_server(("127.0.0.1", 0))
port = listening.getsockname()[1]
os.dup2(listening.fileno(), 3)
child = subprocess.Popen(sys.argv[1:], pass_fds=[3], stdout=subprocess.PIPE)
listening.close()
assert child.stdout.readline().decode().strip() == "127.0.0.1:%d" % port
for line in (b"one\\n", b"end\\n"):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(line)
        print(connection.makefile().read(), end="")
print("status", child.wait())
`;
    assert.equal(await runPythonProgram(program, ...inherited("serve")), "served one\nserved end\nstatus 0\n");
  });

  it("openConnection({ sock: { fd } }) talks over a socket that a Python program made and handed on", async () => {
    const program = `
import os, socket, subprocess, sys
listening = socket.create_server(("127.0.0.1", 0))
ours = socket.create_connection(listening.getsockname())
theirs, _ = listening.accept()
listening.close()
os.dup2(theirs.fileno(), 3)
child = subprocess.Popen(sys.argv[1:], pass_fds=[3])
theirs.close()
os.close(3)
stream = ours.makefile("rw")
assert stream.readline() == "hello\\n"
print("good day", file=stream, flush=True)
assert stream.read() == ""
print("status", child.wait())
`;
    assert.equal(await runPythonProgram(program, ...inherited("talk")), "good day\nstatus 0\n");
  });

  it("contextvars/asyncio and Python tell each other's end from a reset", async () => {
    const program = `
import asyncio, socket, struct, sys
async def main():
    for way in ("close", "reset"):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
        writer.write(b"hello\\n")
        await reader.readline()
        if way == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()
asyncio.run(main())
`;
    const ends: string[] = [];
    const server = await asyncio.startServer(
      async (reader, writer) => {
        writer.write(await reader.readline());
        try {
          ends.push(`EOF after ${(await reader.read()).length} bytes`);
        } catch (error) {
          ends.push((error as Error).name);
        }
        writer.close();
      },
      "127.0.0.1",
      0,
    );
    await runPythonProgram(program, String(portOf(server)));
    server.close();
    await server.waitClosed();
    assert.deepEqual(ends.sort(), ["ConnectionResetError", "EOF after 0 bytes"]);
  });
});
