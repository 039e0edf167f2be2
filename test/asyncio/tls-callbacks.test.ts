/** The functions among the options of TLS: an error in one ends its handshake, and nothing else. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type * as tls from "node:tls";
import * as asyncio from "contextvars/asyncio";
import { certificates } from "../support/certificates.ts";
import { values } from "../support/hostile-values.ts";
import { outcomeOf, Reports, type Serving, serve } from "../support/peers.ts";
import { runtime } from "../support/runtime.ts";

const HOST = "127.0.0.1";
const { ca, expired, server: local } = certificates();
/** Handshakes without certificates, which only Node can do. */
const psk = { ciphers: "PSK", maxVersion: "TLSv1.2" } as const;
const pskClient = {
  ...psk,
  pskCallback: () => ({ psk: Buffer.from("secret"), identity: "client" }),
  checkServerIdentity: () => undefined,
};

async function greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  await writer.send("hello\n");
  writer.close();
}

/** Connects, and returns the greeting. */
async function visit({ port }: Serving, ssl: tls.ConnectionOptions = {}): Promise<string> {
  const [reader, writer] = await asyncio.openConnection(HOST, port, {
    ssl: { ca, ...ssl },
    serverHostname: "localhost",
  });
  await using _ = writer;
  return String(await reader.readline());
}

/** A function of a server, which lets good clients in until `fails` is set. */
interface Case {
  readonly name: string;
  readonly client: tls.ConnectionOptions;
  readonly server: (fail: () => void) => tls.TlsOptions;
}

const cases: Case[] = [
  {
    name: "SNICallback",
    client: {},
    server: (fail) => ({
      SNICallback: (_name, done) => {
        fail();
        done(null);
      },
    }),
  },
  {
    name: "SNICallback",
    client: {},
    server: (fail) => ({
      SNICallback: async (_name, done) => {
        await asyncio.sleep(0);
        fail();
        done(null);
      },
    }),
  },
  {
    name: "ALPNCallback",
    client: { ALPNProtocols: ["one", "two"] },
    server: (fail) => ({
      ALPNCallback: () => {
        fail();
        return "two";
      },
    }),
  },
];
if (!["bun", "deno"].includes(runtime)) {
  cases.push({
    name: "pskCallback",
    client: pskClient,
    server: (fail) => ({
      ...psk,
      pskCallback: () => {
        fail();
        return Buffer.from("secret");
      },
    }),
  });
}

describe("Functions in the options of TLS", () => {
  for (const { name, client, server } of cases) {
    const kind = Object.values(server(() => {})).some((each) => /^async/.test(String(each))) ? "async " : "";
    it(`what a server's ${kind}${name} throws is reported once and ends its handshake, whatever it is`, async () => {
      using reports = new Reports();
      let thrown: { value: unknown } | null = null;
      const fail = (): void => {
        if (thrown !== null) {
          throw thrown.value;
        }
      };
      await using serving = await serve(greet, { ssl: { ...local, ...server(fail) } });
      for (const [what, value] of Object.entries(values)) {
        thrown = { value };
        assert.ok((await outcomeOf(visit(serving, client))) instanceof asyncio.OSError, what);
        assert.deepEqual(reports.messages, [`Unhandled exception in ${name}`], what);
        assert.ok(Object.is(reports.all.pop()?.exception, value), what);
      }
      thrown = null;
      assert.equal(await visit(serving, client), "hello\n");
      assert.deepEqual(reports.messages, []);
    });
  }

  it("SNICallback that throws after its answer is reported, and the client is served", async () => {
    using reports = new Reports();
    const SNICallback: tls.TlsOptions["SNICallback"] = (_name, done) => {
      done(null);
      throw new Error("too late");
    };
    await using serving = await serve(greet, { ssl: { ...local, SNICallback } });
    assert.equal(await visit(serving), "hello\n");
    assert.deepEqual(reports.messages, ["Unhandled exception in SNICallback"]);
  });

  it("SNICallback that answers with options in place of a context is reported", async () => {
    using reports = new Reports();
    const SNICallback: tls.TlsOptions["SNICallback"] = (_name, done) => done(null, { ...local } as never);
    await using serving = await serve(greet, { ssl: { ...local, SNICallback } });
    assert.ok((await outcomeOf(visit(serving))) instanceof asyncio.OSError);
    assert.match(String(reports.all.map(({ exception }) => exception)), /^TypeError: .*createSecureContext\(options\)/);
  });

  it("openConnection() fails with what checkServerIdentity throws, whatever it is", async () => {
    using reports = new Reports();
    await using serving = await serve(greet, { ssl: { ...local } });
    for (const [what, value] of Object.entries(values)) {
      const checkServerIdentity = (): never => {
        throw value;
      };
      const error = await visit(serving, { checkServerIdentity }).then(
        () => assert.fail(what),
        (reason: unknown) => reason,
      );
      assert.ok(Object.is(error, value) || Object.is((error as Error).cause, value), what);
    }
    assert.equal(await visit(serving, { checkServerIdentity: () => undefined }), "hello\n");
    assert.deepEqual(reports.messages, []);
  });

  it("openConnection() refuses a checkServerIdentity that is not a function", async () => {
    await using serving = await serve(greet, { ssl: { ...local } });
    await assert.rejects(visit(serving, { checkServerIdentity: "no" as never }), {
      name: "TypeError",
      message: "checkServerIdentity must be a function, got 'no'",
    });
  });
});

describe("Options of TLS that are changed", () => {
  const expiredCode = { name: "SSLCertVerificationError", code: "CERT_HAS_EXPIRED" };

  it("startServer() uses what they are when it is called", async () => {
    const ssl: tls.TlsOptions = { ...expired };
    await using first = await serve(greet, { ssl });
    await assert.rejects(visit(first), expiredCode);
    Object.assign(ssl, local);
    await using second = await serve(greet, { ssl });
    assert.equal(await visit(second), "hello\n");
    await assert.rejects(visit(first), expiredCode);
  });

  it("startTls() uses what they are when it is called", async () => {
    const ssl: tls.TlsOptions = { ...expired };
    await using serving = await serve(async (_reader, writer) => {
      await writer.startTls(ssl);
      await writer.send("hello\n");
      writer.close();
    });
    const upgrade = async (): Promise<string> => {
      const [reader, writer] = await asyncio.openConnection(HOST, serving.port);
      await using _ = writer;
      await writer.startTls({ ca }, { serverHostname: "localhost" });
      return String(await reader.readline());
    };
    using reports = new Reports();
    await assert.rejects(upgrade(), expiredCode);
    Object.assign(ssl, local);
    assert.equal(await upgrade(), "hello\n");
    assert.ok(reports.messages.length <= 1, "an alert may come before the end of the handshake");
  });
});
