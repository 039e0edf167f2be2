/** The cases of CPython's `test_server_context.py`, one by one, over TCP and over TLS. Their names stand in brackets. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContextVar, copyContext } from "contextvars";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "../support/certificates.ts";
import { portOf } from "../support/peers.ts";

const HOST = "127.0.0.1";
const { ca, server: identity } = certificates();

/** The test, in a task, as in a program of Python. */
async function run(body: () => Promise<void>): Promise<void> {
  await asyncio.createTask(body);
}

/** A handler that sends the variable's value and changes it. */
function tellerOf(variable: ContextVar<string>): asyncio.ClientConnectedCb {
  return async (_reader, writer) => {
    writer.write(variable.get());
    variable.set("in_handler");
    await writer.drain();
    writer.close();
  };
}

/** A protocol that does the same. */
class Telling extends asyncio.Protocol {
  readonly #variable: ContextVar<string>;

  constructor(variable: ContextVar<string>) {
    super();
    this.#variable = variable;
  }

  override connectionMade(transport: asyncio.Transport): void {
    transport.write(this.#variable.get());
    this.#variable.set("in_handler");
    transport.close();
  }
}

const links = [
  { link: "TCP", served: {}, opened: {} },
  { link: "TLS", served: { ssl: { ...identity } }, opened: { ssl: { ca } } },
] as const;

for (const { link, served, opened } of links) {
  /** What the server sends first. */
  const ask = async (server: asyncio.Server): Promise<string> => {
    const [reader, writer] = await asyncio.openConnection(HOST, portOf(server), opened);
    const answer = String(await reader.read(100));
    writer.close();
    await writer.waitClosed();
    return answer;
  };

  describe(`Servers over ${link} and the Context of their making`, () => {
    it("startServer() runs handlers with the values of its call [test_start_server1]", () =>
      run(async () => {
        const variable = new ContextVar("var", { default: "default" });
        const server = await asyncio.startServer(tellerOf(variable), HOST, 0, served);
        variable.set("after_server");
        await server.with(async () => {
          assert.equal(await ask(server), "default");
        });
        assert.equal(variable.get(), "after_server");
      }));

    it("startServer() keeps what one handler sets from the next [test_start_server2]", () =>
      run(async () => {
        const variable = new ContextVar("var", { default: "default" });
        const server = await asyncio.startServer(tellerOf(variable), HOST, 0, served);
        variable.set("after_server");
        await server.with(async () => {
          for (let i = 0; i < 3; i++) {
            assert.equal(await ask(server), "default");
          }
        });
        assert.equal(variable.get(), "after_server");
      }));

    it("startServer() gives a hundred clients at once the values of its call [test_start_server3]", () =>
      run(async () => {
        const variable = new ContextVar("var", { default: "default" });
        variable.set("before_server");
        const server = await asyncio.startServer(tellerOf(variable), HOST, 0, served);
        variable.set("after_server");
        await server.with(async () => {
          await new asyncio.TaskGroup().with(async (group) => {
            for (let i = 0; i < 100; i++) {
              group.createTask(async () => {
                assert.equal(await ask(server), "before_server");
              });
            }
          });
        });
        assert.equal(variable.get(), "after_server");
      }));

    it("createServer() calls protocols with the values of its call [test_create_server1]", () =>
      run(async () => {
        const variable = new ContextVar("var", { default: "default" });
        const loop = asyncio.getRunningLoop();
        const server = await loop.createServer(() => new Telling(variable), HOST, 0, served);
        variable.set("after_server");
        await server.with(async () => {
          assert.equal(await ask(server), "default");
        });
        assert.equal(variable.get(), "after_server");
      }));

    it("createServer() keeps what one protocol sets from the making of the next [test_create_server2]", () =>
      run(async () => {
        const variable = new ContextVar("var", { default: "default" });
        const made: string[] = [];
        const loop = asyncio.getRunningLoop();
        const make = (): Telling => {
          made.push(variable.get());
          return new Telling(variable);
        };
        const server = await loop.createServer(make, HOST, 0, served);
        variable.set("after_server");
        await server.with(async () => {
          assert.equal(await ask(server), "default");
          assert.equal(await ask(server), "default");
        });
        assert.deepEqual(made, ["default", "default"]);
        assert.equal(variable.get(), "after_server");
      }));

    it("createServer() keeps a task that resumes reading out of what the protocol sees later [test_gh140947]", () =>
      run(async () => {
        const [first, second, third] = ["cvar1", "cvar2", "cvar3"].map((name) => new ContextVar<boolean>(name));
        const results: Record<string, string[]> = {};
        const capture = (where: string): void => {
          const names = copyContext()
            .items()
            .map(([variable, value]) => `${variable.name} ${value}`);
          results[where] = names.filter((name) => name.startsWith("cvar")).sort();
        };
        const lost = new asyncio.Future<void>();
        class Demo extends asyncio.Protocol {
          #transport: asyncio.Transport | null = null;
          override connectionMade(transport: asyncio.Transport): void {
            capture("connectionMade");
            this.#transport = transport;
          }
          override dataReceived(): void {
            capture("dataReceived");
            asyncio.createTask(() => this.#work());
            this.#transport?.pauseReading();
          }
          override eofReceived(): void {
            capture("eofReceived");
          }
          override connectionLost(): void {
            capture("connectionLost");
            lost.setResult();
          }
          async #work(): Promise<void> {
            capture("task's start");
            first?.set(true);
            assert.equal(this.#transport?.isReading(), false);
            await asyncio.sleep(0.01);
            second?.set(true);
            this.#transport?.resumeReading();
            third?.set(true);
            capture("task's end");
          }
        }
        const loop = asyncio.getRunningLoop();
        const server = await loop.createServer(() => new Demo(), HOST, 0, served);
        await server.with(async () => {
          const [, writer] = await asyncio.openConnection(HOST, portOf(server), opened);
          await writer.send("anything");
          writer.close();
          await writer.waitClosed();
          await lost;
        });
        assert.deepEqual(results, {
          connectionMade: [],
          dataReceived: [],
          eofReceived: [],
          "task's start": [],
          "task's end": ["cvar1 true", "cvar2 true", "cvar3 true"],
          connectionLost: [],
        });
      }));
  });
}
