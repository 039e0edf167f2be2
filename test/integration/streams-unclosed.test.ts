/** Connections that are not closed. The names in parentheses are CPython's. */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { survivors } from "../support/garbage.ts";
import { closed, eventually, Peer, portOf, rawPeer, serve, turns } from "../support/peers.ts";
import { Recorder } from "../support/protocols.ts";

/** The ResourceWarnings from now until it is disposed of. */
class Warnings implements Disposable {
  readonly messages: string[] = [];
  readonly #note = ({ name, message }: Error): void => {
    if (name === "ResourceWarning") {
      this.messages.push(message);
    }
  };

  constructor() {
    process.on("warning", this.#note);
  }

  [Symbol.dispose](): void {
    process.off("warning", this.#note);
  }
}

describe("A handler that has returned with its writer open", () => {
  it("startServer() closes a connection whose reader and writer are not referenced, with one ResourceWarning (test_unclosed_server_resource_warnings)", async () => {
    for (const isAsync of [true, false]) {
      using warnings = new Warnings();
      const dropped: WeakRef<object>[] = [];
      const drop = (reader: asyncio.StreamReader, writer: asyncio.StreamWriter): void => {
        writer.write("hello");
        dropped.push(new WeakRef(reader), new WeakRef(writer));
      };
      await using serving = await serve(isAsync ? async (...streams) => drop(...streams) : drop);
      const peer = await rawPeer(serving.port);
      assert.equal(await peer.received(5), "hello");
      assert.equal(await survivors(dropped), 0);
      await peer.untilEnded();
      peer.socket.destroy();
      serving.server.close();
      await serving.server.waitClosed();
      assert.equal(warnings.messages.length, 1);
      assert.match(warnings.messages[0] ?? "", /^unclosed <StreamWriter transport=<SocketTransport /);
    }
  });

  it("startServer() keeps a connection open whose reader or writer is referenced, or whose read waits", async () => {
    using warnings = new Warnings();
    const held: unknown[] = [];
    const lines: Promise<string>[] = [];
    const ways: asyncio.ClientConnectedCb[] = [
      async (reader) => {
        held.push(reader);
      },
      async (_reader, writer) => {
        held.push(writer);
      },
      async (reader) => {
        lines.push(reader.readline().then(String));
      },
    ];
    for (const handler of ways) {
      await using serving = await serve(handler);
      const peer = await rawPeer(serving.port);
      peer.write("first half, ");
      await turns(5);
      await survivors([new WeakRef(globalThis)], 5);
      assert.equal(peer.ended, false);
      peer.write("second half\n");
      await Promise.all(lines);
      assert.equal(peer.ended, false);
      peer.socket.destroy();
      await peer.untilClosed();
    }
    assert.deepEqual(await Promise.all(lines), ["first half, second half\n"]);
    assert.equal(held.length, 2);
    assert.deepEqual(warnings.messages, []);
  });

  it("startServer() warns of nothing when the handler has closed its writer", async () => {
    using warnings = new Warnings();
    const dropped: WeakRef<object>[] = [];
    await using serving = await serve((reader, writer) => {
      dropped.push(new WeakRef(reader), new WeakRef(writer));
      writer.close();
    });
    const peer = await rawPeer(serving.port);
    await peer.untilEnded();
    peer.socket.destroy();
    await peer.untilClosed();
    assert.equal(await survivors(dropped), 0);
    assert.deepEqual(warnings.messages, []);
  });
});

/** More than the system takes for a peer that does not read. */
const TOO_MUCH = Buffer.alloc(16 * 1024 * 1024, "x");

describe("A wait on a connection that is not referenced", () => {
  const waits: readonly [string, (writer: asyncio.StreamWriter) => Promise<void>][] = [
    ["waitClosed()", (writer) => writer.waitClosed()],
    [
      "drain()",
      (writer) => {
        writer.write(TOO_MUCH);
        return writer.drain();
      },
    ],
    ["send()", (writer) => writer.send(TOO_MUCH)],
  ];
  for (const [name, begin] of waits) {
    it(`StreamWriter.${name} that waits keeps the connection of a client open`, async () => {
      using warnings = new Warnings();
      await using listener = await Listener.start();
      let ended = false;
      const [peer] = await listener.connected(
        (_reader, writer) => {
          begin(writer)
            .catch(() => {})
            .finally(() => {
              ended = true;
            });
        },
        { reads: false },
      );
      await survivors([new WeakRef(globalThis)], 10);
      assert.equal(ended, false);
      assert.deepEqual(warnings.messages, []);
      peer.socket.resetAndDestroy();
      assert.ok(await eventually(() => ended));
    });

    it(`StreamWriter.${name} that waits keeps a connection open whose handler has returned`, async () => {
      using warnings = new Warnings();
      let ended = false;
      await using serving = await serve((_reader, writer) => {
        begin(writer)
          .catch(() => {})
          .finally(() => {
            ended = true;
          });
      });
      const raw = net.connect(serving.port, "127.0.0.1").pause();
      await once(raw, "connect");
      await survivors([new WeakRef(globalThis)], 10);
      assert.equal(ended, false);
      assert.deepEqual(warnings.messages, []);
      raw.resetAndDestroy();
      assert.ok(await eventually(() => ended));
    });

    it(`StreamWriter.${name} that was cancelled no longer keeps the connection open`, async () => {
      using warnings = new Warnings();
      await using listener = await Listener.start();
      const [peer] = await listener.connected(
        async (_reader, writer) => {
          const task = asyncio.createTask(() => begin(writer));
          await asyncio.sleep(0);
          task.cancel();
          await task.catch(() => {});
        },
        { reads: false },
      );
      await survivors([new WeakRef(globalThis)], 3);
      assert.ok(await eventually(() => warnings.messages.length === 1 || peer.ended));
      await survivors([new WeakRef(globalThis)], 3);
      assert.equal(warnings.messages.length, 1);
      peer.socket.destroy();
    });
  }

  it("all written bytes are sent before an unreferenced connection is closed", async () => {
    using warnings = new Warnings();
    await using serving = await serve((_reader, writer) => writer.write(TOO_MUCH));
    const raw = net.connect(serving.port, "127.0.0.1").pause();
    await once(raw, "connect");
    await survivors([new WeakRef(globalThis)], 10);
    const peer = new Peer(raw, true);
    raw.resume();
    await peer.untilEnded();
    assert.equal(Buffer.concat(peer.chunks).length, TOO_MUCH.length);
    raw.destroy();
    assert.equal(warnings.messages.length, 1);
  });
});

/** A server of Node's. */
class Listener implements AsyncDisposable {
  readonly #server = net.createServer({ allowHalfOpen: true });
  readonly #peers: Peer[] = [];
  readonly #transports: asyncio.Transport[] = [];

  static async start(): Promise<Listener> {
    const listener = new Listener();
    listener.#server.listen(0, "127.0.0.1");
    await once(listener.#server, "listening");
    return listener;
  }

  /** Makes a connection, does something with it, and gives its other end. */
  async connected<T>(
    use: (reader: asyncio.StreamReader, writer: asyncio.StreamWriter) => T,
    { reads = true } = {},
  ): Promise<[peer: Peer, result: T]> {
    const accepted = once(this.#server, "connection") as Promise<[net.Socket]>;
    const connect = async (): Promise<T> => {
      const [reader, writer] = await asyncio.openConnection("127.0.0.1", portOf(this.#server));
      this.#transports.push(writer.transport);
      return use(reader, writer);
    };
    const result = await connect();
    const [socket] = await accepted;
    const peer = new Peer(socket, reads);
    this.#peers.push(peer);
    return [peer, result];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const transport of this.#transports) {
      transport.abort();
    }
    for (const { socket } of this.#peers) {
      socket.destroy();
    }
    await closed(this.#server);
  }
}

describe("A connection that was made and dropped", () => {
  it("openConnection() closes a connection whose reader and writer are not referenced, with one ResourceWarning (test_unclosed_resource_warnings)", async () => {
    using warnings = new Warnings();
    await using listener = await Listener.start();
    const [peer, dropped] = await listener.connected((reader, writer) => {
      writer.write("hello");
      return [new WeakRef(reader), new WeakRef(writer)];
    });
    assert.equal(await peer.received(5), "hello");
    assert.equal(await survivors(dropped), 0);
    await peer.untilEnded();
    assert.equal(warnings.messages.length, 1);
    assert.match(warnings.messages[0] ?? "", /^unclosed <StreamWriter transport=<SocketTransport /);
  });

  it("openConnection() keeps a connection open whose reader or writer is referenced, or whose read or drain() waits", async () => {
    using warnings = new Warnings();
    await using listener = await Listener.start();
    const held: unknown[] = [];
    const answers: Promise<string>[] = [];
    const ways: ((reader: asyncio.StreamReader, writer: asyncio.StreamWriter) => void)[] = [
      (reader) => void held.push(reader),
      (_reader, writer) => void held.push(writer),
      (reader) => {
        const wait = async (): Promise<string> => {
          const line = await reader.readline();
          held.push(reader);
          return String(line);
        };
        answers.push(wait());
      },
      (reader, writer) => {
        const wait = async (): Promise<string> => {
          writer.write(Buffer.alloc(32 * 2 ** 20));
          await writer.drain();
          held.push(writer);
          return String(await reader.readline());
        };
        answers.push(wait());
      },
    ];
    for (const use of ways) {
      const [peer] = await listener.connected(use, { reads: false });
      peer.write("first half, ");
      await survivors([new WeakRef(globalThis)], 5);
      assert.equal(peer.ended, false);
      peer.read();
      peer.write("second half\n");
      await Promise.all(answers);
      assert.equal(peer.ended, false);
      peer.socket.destroy();
      await peer.untilClosed();
    }
    assert.deepEqual(await Promise.all(answers), Array(2).fill("first half, second half\n"));
    assert.equal(held.length, 4);
    assert.deepEqual(warnings.messages, []);
  });

  it("openConnection() leaves one alone that another protocol has taken over", async () => {
    using warnings = new Warnings();
    await using listener = await Listener.start();
    const protocol = new Recorder();
    const [peer, dropped] = await listener.connected((reader, { transport }) => {
      transport.setProtocol(protocol);
      protocol.transport = transport;
      return [new WeakRef(reader)];
    });
    assert.equal(await survivors(dropped), 0);
    await turns(5);
    peer.write("still here");
    assert.ok(await eventually(() => protocol.text === "still here"));
    protocol.transport.close();
    await peer.untilEnded();
    assert.deepEqual(warnings.messages, []);
  });
});

describe("A connection that has ended", () => {
  it("is not kept by its socket, which is still held, on either side", async () => {
    const sockets: net.Socket[] = [];
    const dropped: WeakRef<object>[] = [];
    const drop = (reader: asyncio.StreamReader, writer: asyncio.StreamWriter): void => {
      sockets.push(writer.getExtraInfo("socket"));
      dropped.push(new WeakRef(reader), new WeakRef(writer), new WeakRef(writer.transport));
    };
    await using serving = await serve((reader, writer) => {
      drop(reader, writer);
      writer.close();
    });
    const connect = async (): Promise<void> => {
      const [reader, writer] = await asyncio.openConnection("127.0.0.1", serving.port);
      drop(reader, writer);
      assert.equal((await reader.read()).length, 0);
      writer.close();
      await writer.waitClosed();
    };
    await connect();
    assert.equal(await survivors(dropped), 0);
    assert.equal(sockets.length, 2);
  });
});
