/**
 * Which values of variables a connection sees: those of the moment its server was made, and its own. The cases are those
 * of CPython 3.15's `test_server_context.py`, for streams and for protocols, and more.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextVar, copyContext } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { latch, turn } from "../support/latch.ts";
import { eventually, Peer, portOf, Reports, rawConnection, rawPeer, turns } from "../support/peers.ts";

const HOST = "127.0.0.1";

/** Runs the body in a task with its own Context. */
async function inTask(body: () => Promise<void>): Promise<void> {
  await asyncio.createTask(body);
}

async function stop(server: asyncio.Server): Promise<void> {
  server.close();
  server.closeClients();
  await server.waitClosed();
}

/** Sends the text on a connection of its own, and gives everything that comes back. */
async function ask(port: number, text = "?"): Promise<string> {
  const peer = new Peer(await rawConnection(port), true);
  peer.socket.end(text);
  await peer.untilEnded();
  peer.socket.destroy();
  return peer.text;
}

/** A handler that answers with what it sees of the variable. */
function answering(variable: ContextVar<string>): asyncio.ClientConnectedCb {
  return async (reader, writer) => {
    await reader.read();
    writer.write(variable.get());
    writer.close();
  };
}

describe("startServer() and the Context of a handler", () => {
  for (const place of ["in a task", "outside any task"]) {
    it(`startServer() ${place} shows its handlers the value at its call, not a later one`, async () => {
      const body = async (): Promise<void> => {
        const variable = new ContextVar("v", { default: "default" });
        const server = await asyncio.startServer(answering(variable), HOST, 0);
        variable.set("after");
        assert.equal(await ask(portOf(server)), "default");
        const second = await asyncio.startServer(answering(variable), HOST, 0);
        variable.set("later");
        assert.equal(await ask(portOf(second)), "after");
        assert.equal(await ask(portOf(server)), "default");
        assert.equal(variable.get(), "later", "the creator's own value is what it was");
        await stop(server);
        await stop(second);
      };
      await (place === "in a task" ? inTask(body) : body());
    });
  }

  it("startServer({ startServing: false }) shows its handlers the value at its call, not that of startServing()", async () => {
    await inTask(async () => {
      const variable = new ContextVar("v", { default: "default" });
      variable.set("created");
      const server = await asyncio.startServer(answering(variable), HOST, 0, { startServing: false });
      variable.set("started");
      const early = ask(portOf(server));
      await asyncio.sleep(0.02);
      await asyncio.createTask(async () => {
        variable.set("started elsewhere");
        await server.startServing();
      });
      assert.equal(await early, "created");
      assert.equal(await ask(portOf(server)), "created");
      await stop(server);
    });
  });

  it("startServer() keeps what a handler sets from later handlers and from the creator", async () => {
    await inTask(async () => {
      const variable = new ContextVar("v", { default: "default" });
      const seen: string[] = [];
      const server = await asyncio.startServer(
        async (reader, writer) => {
          seen.push(variable.get());
          variable.set(`handler ${seen.length}`);
          await reader.read();
          writer.write(variable.get());
          writer.close();
        },
        HOST,
        0,
      );
      for (let i = 1; i <= 3; i++) {
        assert.equal(await ask(portOf(server)), `handler ${i}`);
        assert.equal(variable.get(), "default");
      }
      assert.deepEqual(seen, ["default", "default", "default"]);
      await stop(server);
    });
  });

  it("startServer() does not show another connection what a plain handler sets", async () => {
    await inTask(async () => {
      const variable = new ContextVar("v", { default: "default" });
      const server = await asyncio.startServer(
        (_reader, writer) => {
          writer.write(variable.get());
          variable.set("mine");
          writer.write(` ${variable.get()}`);
          writer.close();
        },
        HOST,
        0,
      );
      for (let i = 0; i < 3; i++) {
        assert.equal(await ask(portOf(server)), "default mine");
      }
      assert.equal(variable.get(), "default");
      await stop(server);
    });
  });

  it("startServer() keeps a hundred concurrent handlers apart", async () => {
    await inTask(async () => {
      const variable = new ContextVar("v", { default: "default" });
      variable.set("before_server");
      const together = latch(100);
      const server = await asyncio.startServer(
        async (reader, writer) => {
          const name = String(await reader.readline()).trim();
          const before = variable.get();
          variable.set(name);
          await together();
          await turn();
          writer.write(`${before} ${variable.get()}`);
          writer.close();
        },
        HOST,
        0,
      );
      variable.set("after_server");
      const names = Array.from({ length: 100 }, (_, i) => `client${i}`);
      const answers = await Promise.all(names.map((name) => ask(portOf(server), `${name}\n`)));
      assert.deepEqual(
        answers,
        names.map((name) => `before_server ${name}`),
      );
      assert.equal(variable.get(), "after_server");
      await stop(server);
    });
  });

  it("startServer() gives a handler one Context from beginning to end, which the tasks it starts copy", async () => {
    await inTask(async () => {
      const variable = new ContextVar("v", { default: "default" });
      const server = await asyncio.startServer(
        async (reader, writer) => {
          const readName = async (): Promise<void> => {
            variable.set(String(await reader.readline()).trim());
          };
          const contexts = [asyncio.currentTask()?.getContext()];
          await readName();
          const child = asyncio.createTask(async () => {
            const before = variable.get();
            variable.set("child's");
            await turn();
            return before;
          });
          writer.write(`${await child} ${variable.get()}`);
          await writer.drain();
          contexts.push(asyncio.currentTask()?.getContext());
          assert.equal(contexts[0], contexts[1]);
          writer.close();
        },
        HOST,
        0,
      );
      assert.equal(await ask(portOf(server), "own\n"), "own own");
      await stop(server);
    });
  });

  it("StreamReader resumed by a task of another Context changes nothing for its handler (gh-140947)", async () => {
    await inTask(async () => {
      const variable = new ContextVar("v", { default: "default" });
      const writers: asyncio.StreamWriter[] = [];
      const server = await asyncio.startServer(
        async (reader, writer) => {
          writers.push(writer);
          writer.transport.pauseReading();
          const seen = [variable.get()];
          while (!reader.atEof()) {
            await reader.readline();
            seen.push(variable.get());
          }
          writer.write(seen.join(" "));
          writer.close();
        },
        HOST,
        0,
      );
      const peer = await rawPeer(portOf(server));
      peer.write("one\n");
      assert.ok(await eventually(() => writers.length > 0));
      await asyncio.createTask(async () => {
        variable.set("leaked");
        writers[0]?.transport.resumeReading();
      });
      peer.socket.end("two\n");
      await peer.untilEnded();
      peer.socket.destroy();
      assert.match(peer.text, /^default( default)+$/);
      await stop(server);
    });
  });

  it("startServer() tells the exception handler of a failure without mixing up the values", async () => {
    using reports = new Reports();
    await inTask(async () => {
      const variable = new ContextVar("v", { default: "default" });
      const server = await asyncio.startServer(
        async (reader) => {
          variable.set(String(await reader.read()));
          throw new Error(variable.get());
        },
        HOST,
        0,
      );
      await Promise.all([ask(portOf(server), "a"), ask(portOf(server), "b")]);
      assert.deepEqual(reports.all.map(({ exception }) => (exception as Error).message).sort(), ["a", "b"]);
      assert.equal(variable.get(), "default");
      await stop(server);
    });
  });
});

describe("createServer() and the Context of a protocol", () => {
  /** Notes what each of its methods sees. */
  class Noting extends asyncio.Protocol {
    readonly #seen: string[];
    readonly #variable: ContextVar<string>;
    #transport: asyncio.Transport | null = null;

    constructor(variable: ContextVar<string>, seen: string[]) {
      super();
      this.#variable = variable;
      this.#seen = seen;
      this.#note("constructor");
    }

    #note(method: string): void {
      this.#seen.push(`${method} ${this.#variable.get()}`);
    }

    override connectionMade(transport: asyncio.Transport): void {
      this.#transport = transport;
      this.#note("connectionMade");
    }

    override dataReceived(): void {
      this.#note("dataReceived");
      const { transport, variable } = { transport: this.#transport, variable: this.#variable };
      transport?.pauseReading();
      // As in gh-140947: a task with its own values resumes reading.
      asyncio.createTask(async () => {
        variable.set("leaked");
        await asyncio.sleep(0);
        transport?.resumeReading();
        transport?.write("x");
      });
    }

    override eofReceived(): boolean {
      this.#note("eofReceived");
      return false;
    }

    override connectionLost(): void {
      this.#note("connectionLost");
    }
  }

  it("createServer() calls every method of a protocol, and its factory, in the Context of its call (gh-140947)", async () => {
    await inTask(async () => {
      const variable = new ContextVar("v", { default: "default" });
      const seen: string[] = [];
      const loop = asyncio.getRunningLoop();
      const server = await loop.createServer(() => new Noting(variable, seen), HOST, 0);
      variable.set("after");
      for (let i = 0; i < 3; i++) {
        const peer = await rawPeer(portOf(server));
        peer.write("one");
        await peer.received(1);
        peer.write("two");
        await peer.received(2);
        peer.socket.end();
        await peer.untilEnded();
        await peer.untilClosed();
      }
      await stop(server);
      const once = ["constructor", "connectionMade", "dataReceived", "dataReceived", "eofReceived", "connectionLost"];
      assert.deepEqual(
        seen,
        [...once, ...once, ...once].map((method) => `${method} default`),
      );
      assert.equal(variable.get(), "after");
    });
  });

  it("createServer() keeps what a protocol sets in its connection's Context, and only for its later methods", async () => {
    await inTask(async () => {
      const variable = new ContextVar("v", { default: "default" });
      class Setting extends asyncio.Protocol {
        #transport: asyncio.Transport | null = null;

        override connectionMade(transport: asyncio.Transport): void {
          this.#transport = transport;
          transport.write(variable.get());
        }

        override dataReceived(data: Buffer): void {
          this.#transport?.write(` ${variable.get()}`);
          variable.set(data.toString());
        }

        override eofReceived(): void {
          this.#transport?.write(` ${variable.get()}`);
        }
      }
      const server = await asyncio.getRunningLoop().createServer(() => new Setting(), HOST, 0);
      const peers = await Promise.all([rawPeer(portOf(server)), rawPeer(portOf(server))]);
      for (const [i, peer] of peers.entries()) {
        peer.write(`set by ${i}`);
        await peer.received("default default".length);
      }
      for (const [i, peer] of peers.entries()) {
        peer.socket.end();
        await peer.untilEnded();
        assert.equal(peer.text, `default default set by ${i}`);
        await peer.untilClosed();
      }
      assert.equal(variable.get(), "default");
      await stop(server);
    });
  });

  it("createConnection() calls its protocol in a copy of the Context of its call", async () => {
    await inTask(async () => {
      const variable = new ContextVar("v", { default: "default" });
      const server = await asyncio.startServer(
        (_reader, writer) => {
          writer.write("data");
        },
        HOST,
        0,
      );
      const seen: string[] = [];
      variable.set("at the call");
      const [transport] = await asyncio
        .getRunningLoop()
        .createConnection(() => new Noting(variable, seen), HOST, portOf(server));
      variable.set("after");
      assert.ok(await eventually(() => seen.length === 3));
      transport.close();
      assert.ok(await eventually(() => seen.length === 4));
      assert.deepEqual(seen, [
        "constructor at the call",
        "connectionMade at the call",
        "dataReceived at the call",
        "connectionLost at the call",
      ]);
      await stop(server);
      await turns(2);
    });
  });
});

describe("A thousand connections", () => {
  it("A thousand connections that set and read variables over many awaits never see each other's values", async () => {
    await inTask(async () => {
      const COUNT = 1000;
      const ROUNDS = 4;
      const name = new ContextVar("name", { default: "nobody" });
      const round = new ContextVar("round", { default: -1 });
      let mixed = 0;
      let served = 0;
      const check = (who: string, when: number): void => {
        mixed += name.get() === who && round.get() === when ? 0 : 1;
      };

      const server = await asyncio.startServer(
        async (reader, writer) => {
          check("nobody", -1);
          let who = "nobody";
          let when = -1;
          for await (const line of reader) {
            check(who, when);
            [who, when] = [`server side of ${String(line).trim()}`, when + 1];
            name.set(who);
            round.set(when);
            if (when % 2 === 0) {
              await asyncio.sleep(0);
            }
            check(who, when);
            writer.write(`${name.get()}\n`);
            await writer.drain();
            check(who, when);
          }
          served += 1;
          writer.close();
          await writer.waitClosed();
          check(who, when);
        },
        HOST,
        0,
        { backlog: 1024 },
      );

      const client = async (id: number): Promise<void> => {
        check("nobody", -1);
        const [reader, writer] = await asyncio.openConnection(HOST, portOf(server));
        for (let when = 0; when < ROUNDS; when++) {
          const who = `client ${id}.${when}`;
          name.set(who);
          round.set(when);
          writer.write(`${who}\n`);
          await writer.drain();
          check(who, when);
          assert.equal(String(await reader.readline()), `server side of ${who}\n`);
          check(who, when);
        }
        writer.close();
        await writer.waitClosed();
        check(`client ${id}.${ROUNDS - 1}`, ROUNDS - 1);
      };
      await asyncio.gather(Array.from({ length: COUNT }, (_, id) => () => client(id)));
      await stop(server);
      // The last handlers may still have to see the end.
      assert.ok(await eventually(() => served === COUNT));
      assert.equal(mixed, 0);
      assert.equal(name.get(), "nobody");
      assert.equal(copyContext().get(round), undefined);
    });
  });
});
