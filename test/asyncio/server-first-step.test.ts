/** A connection counts as its server's before any code of the user runs for it: the handler's first step, or a protocol. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "../support/certificates.ts";
import { outcomeOf, portOf, stillWaits } from "../support/peers.ts";

const HOST = "127.0.0.1";
const { ca, server: identity } = certificates();
type Options = asyncio.CreateServerOptions;

/** Ends with the connection. Calls the function in one of its methods, or before it is made. */
class Acting extends asyncio.Protocol {
  readonly #act: () => void;

  constructor(act: () => void) {
    super();
    this.#act = act;
  }

  override connectionMade(): void {
    this.#act();
  }
}

/** Each starts a server that calls the function at this moment of each of its connections. */
const moments: Record<string, (act: () => void, options: Options) => Promise<asyncio.Server>> = {
  "a handler's first step": (act, options) =>
    asyncio.startServer(
      async (reader, writer) => {
        act();
        await reader.read().catch(() => {});
        writer.close();
      },
      HOST,
      0,
      options,
    ),
  "a protocol's connectionMade()": (act, options) =>
    asyncio.getRunningLoop().createServer(() => new Acting(act), HOST, 0, options),
  "a protocol's factory": (act, options) =>
    asyncio.getRunningLoop().createServer(
      () => {
        act();
        return new asyncio.Protocol();
      },
      HOST,
      0,
      options,
    ),
};

const transports: Record<string, [server: Options, client: asyncio.OpenConnectionOptions]> = {
  TCP: [{}, {}],
  TLS: [{ ssl: identity }, { ssl: { ca } }],
};

for (const [moment, start] of Object.entries(moments)) {
  for (const [transport, [options, clientOptions]] of Object.entries(transports)) {
    /** Lets the function act at the moment; gives the server, and the client's streams when it has acted. */
    const actAt = async (act: (server: asyncio.Server) => void) => {
      const acted = new asyncio.Event();
      const server: asyncio.Server = await start(() => {
        act(server);
        acted.set();
      }, options);
      const connecting = asyncio.openConnection(HOST, portOf(server), clientOptions);
      connecting.catch(() => {});
      await acted.wait();
      return { server, connecting };
    };

    describe(`Server in ${moment} over ${transport}`, () => {
      it("close() and waitClosed() wait for this connection", async () => {
        let closed: Promise<void> | undefined;
        const { connecting } = await actAt((server) => {
          server.close();
          closed = server.waitClosed();
        });
        const [, writer] = await connecting;
        assert.ok(await stillWaits(closed as Promise<void>));
        writer.close();
        await closed;
      });

      for (const method of ["closeClients", "abortClients"] as const) {
        it(`${method}() ends this connection`, async () => {
          const { server, connecting } = await actAt((acting) => acting[method]());
          server.close();
          await server.waitClosed();
          const ended = await outcomeOf(connecting.then(([reader]) => reader.read()));
          assert.ok(ended instanceof asyncio.OSError || String(ended) === "", String(ended));
        });
      }

      it("shutdown() ends this connection, and tells what became of it", async () => {
        let shutting: Promise<asyncio.HandlerOutcome[]> | undefined;
        const { server, connecting } = await actAt((acting) => {
          shutting = acting.shutdown({ grace: 0, cancelGrace: 5 });
        });
        const outcomes = await (shutting as Promise<asyncio.HandlerOutcome[]>);
        await server.waitClosed();
        await outcomeOf(connecting.then(([, writer]) => writer.close()));
        // Without a protocol there is nothing to tell yet.
        assert.equal(outcomes.length, moment === "a protocol's factory" ? 0 : 1);
        assert.ok(outcomes.every(({ outcome }) => outcome !== "aborted"));
        assert.equal(typeof outcomes[0]?.name === "string", moment === "a handler's first step");
      });
    });
  }
}

describe("Server.startServing()", () => {
  it("close() in a handler's first step refuses the connections that came before startServing()", async () => {
    let handled = 0;
    const server: asyncio.Server = await asyncio.startServer(
      (_reader, writer) => {
        handled += 1;
        server.close();
        writer.close();
      },
      HOST,
      0,
      { startServing: false },
    );
    const clients = await Promise.all([1, 2].map(() => asyncio.openConnection(HOST, portOf(server))));
    await asyncio.sleep(0.05);
    await server.startServing();
    await server.waitClosed();
    for (const [reader, writer] of clients) {
      await outcomeOf(reader.read());
      writer.close();
    }
    assert.equal(handled, 1);
  });
});
