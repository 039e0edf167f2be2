/** Protocols: handing over, buffers of their own, failures, and the Context their methods are called in. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextVar } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import {
  eventually,
  freePort,
  outcomeOf,
  Peer,
  portOf,
  Reports,
  rawConnection,
  rawPeer,
  turns,
} from "../support/peers.ts";
import { duplexPair, Recorder, wire } from "../support/protocols.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const HOST = "127.0.0.1";
const loop = asyncio.getRunningLoop();

/** Gets what arrives in small buffers of its own. */
class Buffered extends asyncio.BufferedProtocol {
  readonly calls: string[] = [];
  readonly hints: number[] = [];
  readonly losses: unknown[] = [];
  text = "";
  transport!: asyncio.Transport;
  buffer: Uint8Array;

  constructor(size: number) {
    super();
    this.buffer = new Uint8Array(size);
  }

  override connectionMade(transport: asyncio.Transport): void {
    this.transport = transport;
  }

  override getBuffer(sizeHint: number): Uint8Array {
    this.hints.push(sizeHint);
    return this.buffer;
  }

  override bufferUpdated(bytes: number): void {
    this.text += Buffer.from(this.buffer.subarray(0, bytes)).toString("latin1");
  }

  override eofReceived(): void {
    this.calls.push("eofReceived");
  }

  override connectionLost(exception: unknown): void {
    this.losses.push(exception);
  }
}

async function serving(factory: () => asyncio.BaseProtocol): Promise<AsyncDisposable & { readonly port: number }> {
  const server = await loop.createServer(factory, HOST, 0);
  return {
    port: portOf(server),
    async [Symbol.asyncDispose]() {
      server.close();
      server.abortClients();
      await server.waitClosed();
    },
  };
}

describe("Transport.setProtocol()", () => {
  it("Transport.setProtocol() hands everything that arrives from now on to another protocol", async () => {
    await using wired = await wire("TCP server", () => new Recorder());
    const { transport, peer, protocol } = wired;
    const second = new Recorder();
    assert.equal(transport.getProtocol(), protocol);
    peer.write("first");
    assert.ok(await eventually(() => protocol.text === "first"));
    transport.setProtocol(second);
    assert.equal(transport.getProtocol(), second);
    peer.write("second");
    assert.ok(await eventually(() => second.text === "second"));
    const third = new Recorder();
    transport.setProtocol(third);
    peer.socket.end();
    assert.ok(await eventually(() => third.isLost));
    protocol.losses.push("for the helper, which waits for one");
    assert.deepEqual(protocol.calls, ["connectionMade", "dataReceived"]);
    assert.deepEqual(second.calls, ["dataReceived"]);
    assert.deepEqual(third.calls, ["eofReceived", "connectionLost"]);
  });

  it("Transport.setProtocol() in dataReceived() gives the next chunk to the new one", async () => {
    const second = new Recorder();
    class Switching extends Recorder {
      override dataReceived(data: Buffer): void {
        super.dataReceived(data);
        this.transport.setProtocol(second);
      }
    }
    await using server = await serving(() => new Switching());
    const peer = await rawPeer(server.port);
    peer.write("one");
    assert.ok(
      await eventually(() => {
        if (second.calls.length > 0 || peer.closed) {
          return true;
        }
        peer.write("two");
        return false;
      }),
    );
    peer.socket.destroy();
    assert.ok(await eventually(() => second.isLost));
    assert.match(second.text, /^(?:two)+$/);
  });

  it("Transport.setProtocol() in bufferUpdated() gives the rest of the chunk to the new one", async () => {
    const second = new Recorder();
    class Head extends Buffered {
      override bufferUpdated(bytes: number): void {
        super.bufferUpdated(bytes);
        this.transport.setProtocol(second);
      }
    }
    const first = new Head(4);
    await using server = await serving(() => first);
    const peer = await rawPeer(server.port);
    peer.write("headbody");
    assert.ok(await eventually(() => second.text === "body"));
    assert.equal(first.text, "head");
    peer.socket.destroy();
    assert.ok(await eventually(() => second.isLost));
    assert.equal(first.losses.length, 0);
  });

  it("Transport.setProtocol() goes from a Protocol to a BufferedProtocol and back", async () => {
    await using wired = await wire("TCP client", () => new Recorder());
    const buffered = new Buffered(3);
    wired.transport.setProtocol(buffered);
    wired.peer.write("abcdefgh");
    assert.ok(await eventually(() => buffered.text === "abcdefgh"));
    wired.transport.setProtocol(wired.protocol);
    wired.peer.write("ijk");
    assert.ok(await eventually(() => wired.protocol.text === "ijk"));
  });
});

describe("BufferedProtocol", () => {
  it("BufferedProtocol gets every byte in its own buffers, whatever their size", async () => {
    for (const size of [1, 7, 4096, 1024 * 1024]) {
      const protocol = new Buffered(size);
      await using server = await serving(() => protocol);
      const peer = await rawPeer(server.port);
      const text = Array.from({ length: 30_000 }, (_, i) => String(i % 10)).join("");
      peer.write(text);
      peer.socket.end();
      assert.ok(await eventually(() => protocol.losses.length > 0));
      assert.equal(protocol.text, text);
      assert.deepEqual(protocol.losses, [null]);
      assert.deepEqual(protocol.calls, ["eofReceived"]);
      assert.ok(protocol.hints.every((hint) => hint > 0));
    }
  });

  it("BufferedProtocol that closes in bufferUpdated() gets no more", async () => {
    class Once extends Buffered {
      override bufferUpdated(bytes: number): void {
        super.bufferUpdated(bytes);
        this.transport.close();
      }
    }
    const protocol = new Once(2);
    await using server = await serving(() => protocol);
    const peer = await rawPeer(server.port);
    peer.write("abcdef");
    assert.ok(await eventually(() => protocol.losses.length > 0));
    assert.equal(protocol.text, "ab");
    peer.socket.destroy();
  });

  it("BufferedProtocol that gives an empty buffer loses its connection with a RuntimeError", async () => {
    using reports = new Reports();
    const protocol = new Buffered(0);
    await using server = await serving(() => protocol);
    const peer = await rawPeer(server.port);
    peer.write("x");
    assert.ok(await eventually(() => protocol.losses.length > 0));
    assert.deepEqual(reports.messages, ["Fatal error: protocol.getBuffer() call failed."]);
    const [lost] = protocol.losses as Error[];
    assert.ok(lost instanceof asyncio.RuntimeError);
    assert.equal(lost.message, "getBuffer() returned an empty buffer");
    assert.equal(reports.all[0]?.exception, lost);
    peer.socket.destroy();
  });

  it("BufferedProtocol whose getBuffer() returns no bytes loses its connection with a TypeError that says so", async () => {
    for (const given of [undefined, null, "x", [1], new ArrayBuffer(1), Promise.resolve(Buffer.alloc(1))]) {
      using reports = new Reports();
      const protocol = new Buffered(0);
      protocol.buffer = given as never;
      await using server = await serving(() => protocol);
      const peer = await rawPeer(server.port);
      peer.write("x");
      assert.ok(await eventually(() => protocol.losses.length > 0));
      assert.match(String(reports.all[0]?.exception), /^TypeError: getBuffer\(\) must return a Uint8Array, got /);
      peer.socket.destroy();
    }
  });

  it("Protocol that is no subclass, but has the methods, is called all the same", async () => {
    const variable = new ContextVar("v", { default: "none" });
    variable.set("of the creator");
    const seen: string[] = [];
    const protocol = {
      connectionMade(): void {},
      dataReceived(data: Buffer): void {
        seen.push(`${data} ${variable.get()}`);
      },
      eofReceived(): void {},
      connectionLost(): void {
        seen.push("lost");
      },
      pauseWriting(): void {},
      resumeWriting(): void {},
    } as unknown as asyncio.Protocol;
    await using server = await serving(() => protocol);
    const peer = await rawPeer(server.port);
    peer.write("data");
    assert.ok(await eventually(() => seen.length > 0));
    peer.socket.end();
    assert.ok(await eventually(() => seen.length > 1));
    assert.deepEqual(seen, ["data of the creator", "lost"]);
  });
});

type Method = "connectionMade" | "dataReceived" | "eofReceived" | "pauseWriting" | "resumeWriting" | "connectionLost";

/** Fails in one of its methods, which throws, or is async by mistake. */
function failingIn(method: Method, how: "throws" | "rejects"): Recorder {
  class Failing extends Recorder {}
  Failing.prototype[method] = function (this: Recorder, ...args: unknown[]): unknown {
    Reflect.apply(Recorder.prototype[method] as (...args: unknown[]) => void, this, args);
    const error = new RangeError(`in ${method}`);
    if (how === "rejects") {
      return Promise.reject(error);
    }
    throw error;
  } as never;
  return new Failing();
}

describe("Protocol that fails", () => {
  const methods: readonly Method[] = [
    "connectionMade",
    "dataReceived",
    "eofReceived",
    "pauseWriting",
    "resumeWriting",
    "connectionLost",
  ];
  for (const [method, how] of methods.flatMap(
    (method) =>
      [
        [method, "throws"],
        [method, "rejects"],
      ] as const,
  )) {
    it(`Protocol.${method}() that ${how} is reported, and ends its own connection only`, async () => {
      using reports = new Reports();
      const protocols: Recorder[] = [];
      await using server = await serving(() => {
        const protocol = protocols.length === 1 ? failingIn(method, how) : new Recorder();
        protocols.push(protocol);
        return protocol;
      });
      const before = await rawPeer(server.port);
      assert.ok(await eventually(() => protocols.length === 1));
      const peer = await rawPeer(server.port);
      assert.ok(await eventually(() => protocols[1]?.transport !== undefined));
      const failing = protocols[1] as Recorder;
      if (method === "dataReceived") {
        peer.write("x");
      } else if (method === "eofReceived") {
        peer.socket.end();
      } else if (method.endsWith("Writing")) {
        failing.transport.setWriteBufferLimits({ high: 0 });
        failing.transport.write("x");
      } else if (method === "connectionLost") {
        failing.transport.close();
      }
      assert.ok(await eventually(() => failing.isLost));
      await turns(3);
      assert.deepEqual(reports.messages, [`Fatal error: protocol.${method}() call failed.`]);
      const [report] = reports.all;
      assert.equal((report?.exception as Error | undefined)?.message, `in ${method}`);
      assert.equal(report?.["transport"], failing.transport);
      assert.equal(report?.["protocol"], failing);
      // As in CPython, connectionLost() gets the protocol's own error.
      assert.deepEqual(failing.losses, [method === "connectionLost" ? null : report?.exception]);
      await peer.untilEnded();

      const after = await rawPeer(server.port);
      before.write("before");
      after.write("after");
      assert.ok(await eventually(() => protocols[0]?.text === "before" && protocols[2]?.text === "after"));
      for (const each of [before, peer, after]) {
        each.socket.destroy();
      }
    });
  }

  it("loop.createServer() reports a factory that throws, ends that connection, and continues", async () => {
    using reports = new Reports();
    const good = new Recorder();
    let calls = 0;
    await using server = await serving(() => {
      calls += 1;
      if (calls === 1) {
        throw new RangeError("no protocol");
      }
      return good;
    });
    const peer = await rawPeer(server.port);
    await peer.untilEnded();
    peer.socket.destroy();
    assert.deepEqual(reports.messages, ["Error on transport creation for incoming connection"]);
    assert.equal((reports.all[0]?.exception as Error | undefined)?.message, "no protocol");
    const second = await rawPeer(server.port);
    second.write("x");
    assert.ok(await eventually(() => good.text === "x"));
    second.socket.destroy();
  });

  it("loop.createConnection() throws what its factory throws, and leaves no connection open", async () => {
    await using server = await serving(() => new Recorder());
    const failing = (): Recorder => {
      throw new RangeError("no protocol");
    };
    await assert.rejects(loop.createConnection(failing, HOST, server.port), { name: "RangeError" });
    const [mine, theirs] = duplexPair();
    await assert.rejects(loop.createConnection(failing, null, null, { sock: mine }), { name: "RangeError" });
    assert.ok(mine.destroyed);
    theirs.destroy();
    // Disposing of the server would abort the connection: that it has none shows here.
    const [, protocol] = await loop.createConnection(() => new Recorder(), HOST, server.port);
    protocol.transport.abort();
    assert.ok(await eventually(() => protocol.isLost));
  });

  it("loop.createConnection(), createServer() and the Unix variants reject a factory that is no function immediately", async () => {
    using folder = new TemporaryFolder();
    const port = await freePort();
    const path = `${folder.path}/none`;
    for (const wrong of [null, undefined, new Recorder(), Promise.resolve(new Recorder())]) {
      const factory = wrong as unknown as () => Recorder;
      for (const outcome of [
        await outcomeOf(loop.createConnection(factory, HOST, port)),
        await outcomeOf(loop.createUnixConnection(factory, path)),
        await outcomeOf(loop.createServer(factory, HOST, 0)),
        await outcomeOf(loop.createUnixServer(factory, path)),
      ]) {
        assert.ok(outcome instanceof TypeError, String(outcome));
        assert.match(outcome.message, /^create\w+\(\) needs a function, got/);
      }
    }
  });
});

/** Notes the variable's value in each of its methods. */
class Seeing extends Recorder {
  readonly seen = new Map<string, Set<string>>();
  readonly #variable: ContextVar<string>;

  constructor(variable: ContextVar<string>) {
    super();
    this.#variable = variable;
    this.#note("constructor");
  }

  override connectionMade(transport: asyncio.Transport): void {
    super.connectionMade(transport);
    this.#note("connectionMade");
  }

  override dataReceived(data: Buffer): void {
    super.dataReceived(data);
    this.#note("dataReceived");
  }

  override eofReceived(): boolean {
    this.#note("eofReceived");
    return super.eofReceived();
  }

  override pauseWriting(): void {
    super.pauseWriting();
    this.#note("pauseWriting");
  }

  override resumeWriting(): void {
    super.resumeWriting();
    this.#note("resumeWriting");
  }

  override connectionLost(exception: unknown): void {
    this.#note("connectionLost");
    super.connectionLost(exception);
  }

  #note(method: string): void {
    this.seen.set(method, (this.seen.get(method) ?? new Set()).add(this.#variable.get()));
  }
}

describe("Protocol's Context", () => {
  /** Runs the body in a task of its own, which has another value. */
  async function inAnotherTask(variable: ContextVar<string>, body: () => unknown): Promise<void> {
    await asyncio.createTask(async () => {
      variable.set("of another task");
      await asyncio.sleep(0);
      body();
      await asyncio.sleep(0);
    });
  }

  for (const how of [
    "createServer() (test_server_context: create_server1)",
    "createUnixServer()",
    "createConnection()",
  ]) {
    it(`Protocol of ${how} sees the Context of the call in every method, whichever task reads, writes and closes (gh-140947)`, async () => {
      using folder = new TemporaryFolder();
      const path = `${folder.path}/s`;
      const variable = new ContextVar("v", { default: "default" });
      for (const end of ["close", "abort", "peer"] as const) {
        let protocol: Seeing | null = null;
        const make = (): Seeing => {
          protocol = new Seeing(variable);
          return protocol;
        };
        await asyncio.createTask(async () => {
          variable.set("of the creator");
          let dispose: () => Promise<void>;
          let peer: Peer;
          if (how === "createConnection()") {
            const [mine, theirs] = await asyncio.socketpair();
            await loop.createConnection(make, null, null, { sock: mine });
            peer = new Peer(theirs, false);
            dispose = async () => {};
          } else {
            const server = how.startsWith("createUnix")
              ? await loop.createUnixServer(make, path)
              : await loop.createServer(make, HOST, 0);
            variable.set("later");
            const [socket, client] = await loop[
              how.startsWith("createUnix") ? "createUnixConnection" : "createConnection"
            ](
              () => new Recorder(),
              ...((how.startsWith("createUnix") ? [path] : [HOST, portOf(server)]) as [string, number]),
            );
            socket.pauseReading();
            peer = new Peer(socket.getExtraInfo("socket") as never, false);
            dispose = async () => {
              server.close();
              client.transport.abort();
              server.abortClients();
              await server.waitClosed();
            };
          }
          assert.ok(await eventually(() => protocol?.transport !== undefined));
          const made = protocol as unknown as Seeing;
          const { transport } = made;
          await inAnotherTask(variable, () => transport.pauseReading());
          peer.write("one");
          await inAnotherTask(variable, () => transport.resumeReading());
          assert.ok(await eventually(() => made.text === "one"));
          await inAnotherTask(variable, () => transport.write(Buffer.alloc(16 * 1024 * 1024)));
          assert.ok(made.seen.has("pauseWriting"));
          peer.read();
          peer.socket.resume();
          assert.ok(await eventually(() => made.seen.has("resumeWriting")));
          if (end === "peer") {
            peer.socket.end();
          } else {
            await inAnotherTask(variable, () => transport[end]());
          }
          assert.ok(await eventually(() => made.isLost));
          peer.socket.destroy();
          await dispose();
          const methods = [
            "constructor",
            "connectionMade",
            "dataReceived",
            "pauseWriting",
            "resumeWriting",
            "connectionLost",
          ];
          for (const method of end === "peer" ? [...methods, "eofReceived"] : methods) {
            assert.deepEqual([...(made.seen.get(method) ?? [])], ["of the creator"], `${method}, ${end}`);
          }
        });
      }
      assert.equal(variable.get(), "default");
    });
  }

  it("Protocol keeps what it sets for its own connection (test_server_context: create_server2)", async () => {
    const variable = new ContextVar("v", { default: "default" });
    const seen: string[][] = [];
    class Setting extends Recorder {
      readonly #seen: string[] = [];
      override connectionMade(transport: asyncio.Transport): void {
        super.connectionMade(transport);
        seen.push(this.#seen);
        this.#seen.push(variable.get());
        variable.set(`connection ${seen.length}`);
      }
      override dataReceived(data: Buffer): void {
        super.dataReceived(data);
        this.#seen.push(variable.get());
        variable.set(`${variable.get()}, then ${data}`);
      }
      override connectionLost(exception: unknown): void {
        this.#seen.push(variable.get());
        super.connectionLost(exception);
      }
    }
    await using server = await serving(() => new Setting());
    for (let i = 0; i < 3; i++) {
      const socket = await rawConnection(server.port);
      socket.write("data");
      assert.ok(await eventually(() => seen[i]?.length === 2));
      socket.end();
      assert.ok(await eventually(() => seen[i]?.length === 3));
      socket.destroy();
    }
    assert.deepEqual(
      seen,
      [1, 2, 3].map((n) => ["default", `connection ${n}`, `connection ${n}, then data`]),
    );
    assert.equal(variable.get(), "default");
  });
});
