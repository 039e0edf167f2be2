/** What the system refuses comes out as an error of Python's OSError family, in both roles; Node's own never does. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import * as vm from "node:vm";
import * as asyncio from "contextvars/asyncio";
import { framed } from "contextvars/codecs";
import { memoryStreamPair } from "contextvars/testing";
import { programPath } from "../support/paths.ts";
import { outcomeOf } from "../support/peers.ts";
import { runtime } from "../support/runtime.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const HOST = "127.0.0.1";
const handler = (_reader: asyncio.StreamReader, writer: asyncio.StreamWriter): void => writer.close();
const factory = (): asyncio.Protocol => new asyncio.Protocol();
const loop = asyncio.getRunningLoop();
type Call<A extends unknown[]> = (...args: A) => Promise<unknown>;

const tcp = {
  "openConnection()": (host: string, port: number) => asyncio.openConnection(host, port),
  "loop.createConnection()": (host: string, port: number) => loop.createConnection(factory, host, port),
};
const unixClients = {
  "openUnixConnection()": (path: string) => asyncio.openUnixConnection(path),
  "loop.createUnixConnection()": (path: string) => loop.createUnixConnection(factory, path),
};
const unixServers = {
  "startUnixServer()": (path: string) => asyncio.startUnixServer(handler, path),
  "loop.createUnixServer()": (path: string) => loop.createUnixServer(factory, path),
};
const adopters = {
  "openConnection()": (sock: { fd: number }) => asyncio.openConnection({ sock }),
  "openUnixConnection()": (sock: { fd: number }) => asyncio.openUnixConnection({ sock }),
  "startServer()": (sock: { fd: number }) => asyncio.startServer(handler, { sock }),
  "startUnixServer()": (sock: { fd: number }) => asyncio.startUnixServer(handler, { sock }),
  "loop.createConnection()": (sock: { fd: number }) => loop.createConnection(factory, null, null, { sock }),
  "loop.createUnixConnection()": (sock: { fd: number }) => loop.createUnixConnection(factory, null, { sock }),
  "loop.createServer()": (sock: { fd: number }) => loop.createServer(factory, null, null, { sock }),
  "loop.createUnixServer()": (sock: { fd: number }) => loop.createUnixServer(factory, null, { sock }),
  "loop.connectAcceptedSocket()": (sock: { fd: number }) => loop.connectAcceptedSocket(factory, sock),
};

/** Asserts that the call fails with this error, and this code if one is given. */
async function fails(
  call: Promise<unknown>,
  errorClass: typeof asyncio.OSError | typeof asyncio.ValueError,
  code?: string,
): Promise<Error> {
  const error = await outcomeOf(call);
  assert.equal((error as Error | null)?.constructor, errorClass, String(error));
  if (code !== undefined) {
    assert.equal((error as { code?: string }).code, code);
  }
  return error as Error;
}

function each<A extends unknown[]>(calls: Record<string, Call<A>>, test: (name: string, call: Call<A>) => void): void {
  for (const [name, call] of Object.entries(calls)) {
    test(name, call);
  }
}

describe("Addresses of TCP", () => {
  each(tcp, (name, call) => {
    it(`${name} to port 0 throws a ConnectionRefusedError`, async () => {
      await fails(call(HOST, 0), asyncio.ConnectionRefusedError, "ECONNREFUSED");
    });
    for (const host of ["", "a\0b", "no such host"]) {
      it(`${name} to host ${JSON.stringify(host)} throws a gaierror`, async () => {
        await fails(call(host, 80), asyncio.gaierror);
      });
    }
  });
  for (const host of [42, true, [HOST, 42], [null]] as unknown as string[][]) {
    it(`startServer() and loop.createServer() at ${JSON.stringify(host)} throw a TypeError that says what is needed`, async () => {
      const starts = [asyncio.startServer(handler, host, 0), loop.createServer(factory, host, 0)];
      for (const started of starts) {
        const error = await outcomeOf(started);
        assert.ok(error instanceof TypeError, String(error));
        assert.match(error.message, /: host must be a string or an array of strings, got /);
      }
    });
  }
  for (const [name, options] of Object.entries({
    family: { family: 5 as 4 },
    flags: { flags: 1 << 20 },
    "flags of more than 32 bits": { flags: 2 ** 40 },
    "flags that are no number": { flags: "ALL" as unknown as number },
  })) {
    it(`openConnection() and startServer() with wrong ${name} throw a ValueError`, async () => {
      await fails(asyncio.openConnection("localhost", 1, options), asyncio.ValueError);
      await fails(asyncio.startServer(handler, "localhost", 0, options), asyncio.ValueError);
    });
  }
});

describe("Paths of Unix sockets", () => {
  each({ ...unixClients, ...unixServers }, (name, call) => {
    it(`${name} in a folder that does not exist throws a FileNotFoundError`, async () => {
      using folder = new TemporaryFolder();
      const path = join(folder.path, "none/sock");
      const error = await fails(call(path), asyncio.FileNotFoundError, "ENOENT");
      assert.ok(error.message.endsWith(`'${path}'`), error.message);
    });
    it(`${name} below a plain file throws an OSError with ENOTDIR`, async () => {
      using folder = new TemporaryFolder();
      fs.writeFileSync(join(folder.path, "file"), "");
      await fails(call(join(folder.path, "file/sock")), asyncio.OSError, "ENOTDIR");
    });
    it(`${name} with a zero byte inside a path throws a ValueError`, async () => {
      await fails(call("/tmp/a\0b"), asyncio.ValueError);
    });
    it(`${name} with an empty path throws an OSError`, async () => {
      await fails(call(""), asyncio.OSError, "EINVAL");
    });
  });

  each(unixServers, (name, call) => {
    it(`${name} and a client take a path of digits for a path`, async () => {
      using folder = new TemporaryFolder();
      const before = process.cwd();
      process.chdir(folder.path);
      try {
        const server = (await call("8080")) as asyncio.Server;
        assert.equal(String(server.sockets[0]?.getsockname()), "8080");
        const [, writer] = await asyncio.openUnixConnection("8080");
        writer.close();
        server.close();
        server.abortClients();
        await server.waitClosed();
        assert.deepEqual(fs.readdirSync("."), []);
      } finally {
        process.chdir(before);
      }
    });

    it(`${name} removes a symbolic link to a socket that is left over`, async () => {
      using folder = new TemporaryFolder();
      const [socket, link] = [join(folder.path, "socket"), join(folder.path, "link")];
      const other = net.createServer().listen(socket);
      await once(other, "listening");
      fs.symlinkSync(socket, link);
      const server = (await call(link)) as asyncio.Server;
      assert.ok(fs.lstatSync(link).isSocket());
      server.close();
      other.close();
    });

    it(`${name} leaves a file that is no socket alone`, async () => {
      using folder = new TemporaryFolder();
      const path = join(folder.path, "file");
      fs.writeFileSync(path, "kept");
      await fails(call(path), asyncio.OSError, "EADDRINUSE");
      assert.equal(fs.readFileSync(path, "utf8"), "kept");
    });
  });
});

describe("{ fd }", () => {
  each(adopters, (name, call) => {
    it(`${name} with a descriptor that is not open throws an OSError with EBADF`, async () => {
      await fails(call({ fd: 99_999 }), asyncio.OSError, "EBADF");
    });
    it(`${name} with a descriptor of a file throws an OSError with ENOTSOCK`, async () => {
      const fd = fs.openSync("/dev/null", "r");
      await fails(call({ fd }), asyncio.OSError, "ENOTSOCK");
      fs.closeSync(fd);
    });
    for (const fd of [-1, 1.5, Number.NaN, 2 ** 31, "3" as unknown as number]) {
      it(`${name} with descriptor ${JSON.stringify(fd)} throws a ValueError`, async () => {
        await fails(call({ fd }), asyncio.ValueError);
      });
    }
  });
});

describe("An address with the name of an interface that does not exist", () => {
  it("startServer() listens there, as Node does, or throws an OSError", async () => {
    const outcome = await outcomeOf(asyncio.startServer(handler, "::1%nosuch", 0));
    if (outcome instanceof asyncio.Server) {
      outcome.close();
    } else {
      assert.ok(outcome instanceof asyncio.OSError, String(outcome));
    }
  });
});

describe("Bytes of another realm", () => {
  it("StreamWriter.write() and writelines(), StreamReader.feedData() take bytes of another realm", async () => {
    const bytes = vm.runInNewContext("new Uint8Array([97, 98, 10])") as Uint8Array;
    const [[, writer], [reader]] = memoryStreamPair();
    writer.write(bytes);
    writer.writelines([bytes]);
    assert.equal(String(await reader.readexactly(6)), "ab\nab\n");
    const fed = new asyncio.StreamReader();
    fed.feedData(bytes);
    assert.equal(String(await fed.readline()), "ab\n");
    writer.close();
  });

  it("StreamReader.readInto(), readuntil() and from() take bytes of another realm, and so does framed()", async () => {
    const make = vm.runInNewContext("(...bytes) => new Uint8Array(bytes)") as (...bytes: number[]) => Uint8Array;
    const reader = asyncio.StreamReader.from([make(97, 98), make(99, 10)]);
    const target = make(0);
    assert.equal(await reader.readInto(target), 1);
    assert.deepEqual([...target], [97]);
    assert.equal(String(await reader.readuntil(make(99))), "bc");
    assert.equal(String(await reader.readuntil([make(10)])), "\n");
    assert.throws(() => asyncio.StreamReader.from(make(1) as never), /put bytes into an array/);

    const [[, writer], [received]] = memoryStreamPair();
    await framed(null, writer, { encode: () => make(97, 10), decode: () => null, maxLength: 2 }).send(null);
    assert.equal(String(await received.readline()), "a\n");
    writer.close();
  });

  it("a stream that emits bytes of another realm is read", async () => {
    const sock = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const [reader, writer] = await asyncio.openConnection({ sock });
    sock.emit("data", vm.runInNewContext("new Uint8Array([97, 10])"));
    assert.equal(String(await reader.readline()), "a\n");
    writer.close();
    await writer.waitClosed();
  });

  it("StreamReader.feedData() of text throws a TypeError that says what it needs", () => {
    const feed = (): void => new asyncio.StreamReader().feedData("text" as unknown as Uint8Array);
    assert.throws(feed, { name: "TypeError", message: "feedData(): data must be bytes (a Uint8Array), got 'text'" });
  });
});

describe("Errors of another realm", () => {
  it("an error of the system that a stream of another realm fails with becomes an OSError", async () => {
    const error: Error = vm.runInNewContext("Object.assign(new Error('gone'), { code: 'ECONNRESET', errno: -104 })");
    assert.ok(!(error instanceof Error));
    const socket = new net.Socket();
    const reading = asyncio.openConnection({ sock: socket }).then(async ([reader]) => {
      socket.destroy(error);
      return await reader.read();
    });
    await fails(reading, asyncio.ConnectionResetError, "ECONNRESET");
  });

  it("isCancelled() knows an AbortError of another realm that a cancellation has caused", () => {
    const make = vm.runInNewContext(
      "(cause) => Object.assign(new Error('aborted', { cause }), { name: 'AbortError' })",
    ) as (cause: unknown) => Error;
    assert.ok(asyncio.isCancelled(make(new asyncio.CancelledError())));
    assert.ok(!asyncio.isCancelled(make(null)));
  });
});

describe("A process that has no descriptor left", () => {
  it("every call that needs one throws an OSError that says so", { skip: process.platform === "win32" }, async () => {
    using folder = new TemporaryFolder();
    const before = runtime === "deno" ? ["run", "-A", "--no-check"] : [];
    const program = [process.execPath, ...before, programPath("no-descriptors.js"), folder.file("socket")];
    const { stdout } = await promisify(execFile)("sh", ["-c", 'ulimit -n 128; exec "$@"', "sh", ...program]);
    const found = JSON.parse(stdout) as Record<string, { code: string; errno: number; message: string }>;
    assert.equal(Object.keys(found).length, 6);
    for (const [name, error] of Object.entries(found)) {
      assert.equal(typeof error, "object", `${name}: ${JSON.stringify(error)}`);
      if (error.code === "EMFILE") {
        assert.equal(error.errno, -24, name);
        assert.match(error.message, /^\[Errno 24\] Too many open files/, name);
      } else {
        // Bun reports another code, or none.
        assert.equal(runtime, "bun", `${name}: ${error.code}`);
      }
    }
  });
});
