/** What becomes of a connection that a handler has left open. The names in parentheses are CPython's. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type * as asyncio from "contextvars/asyncio";
import { survivors } from "../support/garbage.ts";
import { rawPeer, serve, turns } from "../support/peers.ts";

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
  it("startServer() closes a connection whose reader and writer nobody holds, with one ResourceWarning (test_unclosed_server_resource_warnings)", async () => {
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

  it("startServer() keeps a connection open whose reader or writer somebody holds, or at which a read waits", async () => {
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
