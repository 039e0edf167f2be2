/** TLS connections: who is trusted, what is agreed on, what is known of it. Some names in parentheses are CPython's. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import * as tls from "node:tls";
import * as asyncio from "contextvars/asyncio";
import { type Certificates, certificates, type Identity } from "../support/certificates.ts";
import { outcomeOf, portOf, Reports, rawConnection, serve } from "../support/peers.ts";
import { runtime } from "../support/runtime.ts";
import { limitOf } from "../support/runtime-limits.ts";
import { tlsClient, versions } from "../support/wire-tls.ts";

const HOST = "127.0.0.1";
const { ca, server: local, client, expired, other, stranger }: Certificates = certificates();

type Open = (...args: unknown[]) => Promise<[asyncio.StreamReader, asyncio.StreamWriter]>;
type Start = (...args: unknown[]) => Promise<asyncio.Server>;
const open = asyncio.openConnection as Open;
const start = asyncio.startServer as Start;

async function echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  for await (const line of reader) {
    await writer.send(line);
  }
  writer.close();
}

/** Sends a line, gets it back, and closes. */
async function ask([reader, writer]: [asyncio.StreamReader, asyncio.StreamWriter]): Promise<void> {
  await writer.send("line\n");
  assert.equal(String(await reader.readline()), "line\n");
  writer.close();
  await writer.waitClosed();
}

const noop = async (): Promise<void> => {};

describe("openConnection() with ssl: whom it trusts", () => {
  interface Case {
    readonly server: Identity;
    readonly options: asyncio.OpenConnectionOptions;
    readonly host?: string;
    /** The code of the error; none: it connects. */
    readonly code?: string | RegExp;
  }
  const cases: Readonly<Record<string, Case>> = {
    "a certificate of a known authority, by name": { server: local, host: "localhost", options: { ssl: { ca } } },
    "a certificate of a known authority, by IP address": { server: local, options: { ssl: { ca } } },
    "another name of the certificate, by serverHostname": {
      server: local,
      options: { ssl: { ca }, serverHostname: "alternative.test" },
    },
    "another name of the certificate, by servername of node:tls": {
      server: local,
      options: { ssl: { ca, servername: "alternative.test" } },
    },
    "any name with serverHostname ''": { server: other, options: { ssl: { ca }, serverHostname: "" } },
    "anything with rejectUnauthorized: false": {
      server: stranger,
      options: { ssl: { rejectUnauthorized: false }, serverHostname: "other.test" },
    },
    "a name that a check of one's own accepts": {
      server: other,
      options: { ssl: { ca, checkServerIdentity: () => undefined } },
    },
    "not a certificate of an unknown authority": {
      server: stranger,
      options: { ssl: { ca } },
      code: /^UNABLE_TO_|^SELF_SIGNED_|^DEPTH_ZERO_/,
    },
    "not a certificate of an authority that only the test knows, with ssl: true": {
      server: local,
      options: { ssl: true },
      code: /^UNABLE_TO_|^SELF_SIGNED_|^DEPTH_ZERO_/,
    },
    "not an unknown authority with serverHostname '' (only the name goes unchecked)": {
      server: stranger,
      options: { ssl: { ca }, serverHostname: "" },
      code: /^UNABLE_TO_|^SELF_SIGNED_|^DEPTH_ZERO_/,
    },
    "not a certificate that has expired": { server: expired, options: { ssl: { ca } }, code: "CERT_HAS_EXPIRED" },
    "not the certificate of another host": {
      server: other,
      host: "localhost",
      options: { ssl: { ca } },
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    },
    "not the certificate of another IP address": {
      server: other,
      options: { ssl: { ca } },
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    },
    "not another name than serverHostname": {
      server: local,
      options: { ssl: { ca }, serverHostname: "other.test" },
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    },
    "not another name than serverHostname, whatever servername says": {
      server: local,
      options: { ssl: { ca, servername: "localhost" }, serverHostname: "other.test" },
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    },
  };

  for (const [what, { server: identity, options, host = HOST, code }] of Object.entries(cases)) {
    it(`openConnection() trusts ${what}`, async () => {
      using reports = new Reports();
      await using serving = await serve(echo, { ssl: { ...identity } });
      const outcome = await outcomeOf(asyncio.openConnection(host, serving.port, options));
      if (code === undefined) {
        await ask(outcome as [asyncio.StreamReader, asyncio.StreamWriter]);
      } else {
        assert.ok(outcome instanceof asyncio.SSLCertVerificationError, String(outcome));
        assert.ok(outcome instanceof asyncio.OSError);
        assert.equal(outcome.name, "SSLCertVerificationError");
        assert.match(outcome.message, /^certificate verify failed: /);
        assert.ok(typeof code === "string" ? outcome.code === code : code.test(outcome.code), outcome.code);
        assert.ok(outcome.cause instanceof Error);
        // The next one is served as if nothing had been.
        await ask(await asyncio.openConnection(HOST, serving.port, { ssl: { rejectUnauthorized: false } }));
      }
      serving.server.close();
      await serving.server.waitClosed();
      assert.deepEqual(reports.all, []);
    });
  }

  it("openConnection({ sock }) checks the name in servername of node:tls, where there is no host", async () => {
    await using serving = await serve(echo, { ssl: { ...other } });
    const sock = await rawConnection(serving.port);
    await assert.rejects(open({ sock, ssl: { ca, servername: "localhost" } }), {
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
    assert.equal(sock.destroyed, true);
    const good = await rawConnection(serving.port);
    await ask(await open({ sock: good, ssl: { ca, servername: "other.test" } }));
  });

  it("openConnection({ sock }) with ssl needs a name, which may be ''", async () => {
    await using serving = await serve(echo, { ssl: { ...local } });
    const sock = await rawConnection(serving.port);
    await assert.rejects(
      open({ sock, ssl: { ca } }),
      /^ValueError: You must set serverHostname when using ssl without a host/,
    );
    await ask(await open({ sock, ssl: { ca }, serverHostname: "" }));
  });
});

describe("The ssl options", () => {
  it("tls.SecureContext is taken by both sides", async () => {
    const context = tls.createSecureContext({ ...local });
    await using serving = await serve(echo, { ssl: context });
    const trusting = tls.createSecureContext({ ca });
    const streams = await asyncio.openConnection("localhost", serving.port, { ssl: trusting });
    assert.equal(streams[1].getExtraInfo("sslcontext"), trusting);
    await ask(streams);
    await assert.rejects(
      asyncio.openConnection("localhost", serving.port, { ssl: tls.createSecureContext({}) }),
      asyncio.SSLCertVerificationError,
    );
  });

  it("openConnection() refuses ssl that is no TLS context (test_create_connection_ssl_server_hostname_errors)", async () => {
    for (const ssl of [1, "yes", () => {}, Symbol("ssl")]) {
      await assert.rejects(open(HOST, 1, { ssl }), {
        name: "TypeError",
        message: /^ssl must be true, options of node:tls, or a tls.SecureContext/,
      });
    }
    await assert.rejects(asyncio.openUnixConnection("/nowhere", { ssl: { ca } }), {
      name: "ValueError",
      message: "you have to pass serverHostname when using ssl",
    });
  });

  it("startServer() refuses ssl: true and whatever is no TLS context", async () => {
    for (const ssl of [true, 1, "yes"]) {
      await assert.rejects(start(noop, HOST, 0, { ssl }), {
        name: "TypeError",
        message: /^ssl must be options of node:tls with key and cert or a tls.SecureContext/,
      });
    }
    await assert.rejects(asyncio.startUnixServer(noop, "/nowhere/s", { ssl: true as never }), TypeError);
  });

  it("startServer() refuses a key and a certificate that cannot be read, before it listens", {
    skip: limitOf("keys that cannot be read"),
  }, async () => {
    for (const ssl of [
      { key: "nonsense", cert: local.cert },
      { key: local.key, cert: "nonsense" },
    ]) {
      await assert.rejects(start(noop, HOST, 0, { ssl }), (error: Error) => error instanceof asyncio.SSLError);
    }
  });

  it("options that mean nothing without ssl are refused by their names", async () => {
    for (const option of ["serverHostname", "sslHandshakeTimeout", "sslShutdownTimeout"]) {
      const value = option === "serverHostname" ? "localhost" : 1;
      const message = `${option} is only meaningful with ssl`;
      for (const ssl of [undefined, false]) {
        await assert.rejects(open(HOST, 1, { ssl, [option]: value }), { name: "ValueError", message });
      }
      if (option !== "serverHostname") {
        await assert.rejects(start(noop, HOST, 0, { [option]: value }), { message });
      }
    }
    await assert.rejects(start(noop, HOST, 0, { serverHostname: "x" }), TypeError);
  });

  it("time limits have to be positive (test_create_connection_ssl_timeout_for_plain_socket)", async () => {
    for (const option of ["sslHandshakeTimeout", "sslShutdownTimeout"]) {
      for (const value of [0, -1, Number.NaN]) {
        const message = `${option} must be a positive number of seconds, got ${value}`;
        await assert.rejects(open(HOST, 1, { ssl: true, [option]: value }), { name: "ValueError", message });
        await assert.rejects(start(noop, HOST, 0, { ssl: { ...local }, [option]: value }), { message });
      }
    }
  });
});

describe("SNI and ALPN", () => {
  it("getExtraInfo('servername') is the name the client asked for; none for an IP address", async () => {
    const names: unknown[] = [];
    await using serving = await serve(
      async (reader, writer) => {
        names.push(writer.getExtraInfo("servername"));
        await echo(reader, writer);
      },
      { ssl: { ...local } },
    );
    await ask(await asyncio.openConnection("localhost", serving.port, { ssl: { ca } }));
    await ask(await asyncio.openConnection(HOST, serving.port, { ssl: { ca }, serverHostname: "alternative.test" }));
    await ask(await asyncio.openConnection(HOST, serving.port, { ssl: { ca } }));
    assert.deepEqual(names, ["localhost", "alternative.test", null]);
  });

  it("SNICallback chooses the certificate", async () => {
    const asked: string[] = [];
    const ssl: tls.TlsOptions = {
      ...local,
      SNICallback: (name, done) => {
        asked.push(name);
        done(null, name === "other.test" ? tls.createSecureContext({ ...other }) : undefined);
      },
    };
    await using serving = await serve(echo, { ssl });
    for (const serverHostname of ["other.test", "localhost"]) {
      const streams = await asyncio.openConnection(HOST, serving.port, { ssl: { ca }, serverHostname });
      const common = streams[1].getExtraInfo("peercert")?.subject.CN;
      assert.equal(common, serverHostname === "other.test" ? "other" : "server");
      await ask(streams);
    }
    assert.deepEqual(asked, ["other.test", "localhost"]);
  });

  it("ALPNProtocols: the one that both know is chosen, and both are told", async () => {
    const seen: unknown[] = [];
    await using serving = await serve(
      async (reader, writer) => {
        seen.push(writer.getExtraInfo("alpn"));
        await echo(reader, writer);
      },
      { ssl: { ...local, ALPNProtocols: ["b", "c"] } },
    );
    for (const [ALPNProtocols, chosen] of [
      [["a", "c"], "c"],
      [["c", "b"], "b"],
      [undefined, null],
    ] as const) {
      const ssl = { ca, ...(ALPNProtocols === undefined ? {} : { ALPNProtocols: [...ALPNProtocols] }) };
      const streams = await asyncio.openConnection("localhost", serving.port, { ssl });
      assert.equal(streams[1].getExtraInfo("alpn"), chosen);
      await ask(streams);
    }
    assert.deepEqual(seen, ["c", "b", null]);
  });

  it("ALPNProtocols: no protocol in common is no connection", async () => {
    using reports = new Reports();
    await using serving = await serve(echo, { ssl: { ...local, ALPNProtocols: ["b"] } });
    const ssl = { ca, ALPNProtocols: ["a"] };
    await assert.rejects(asyncio.openConnection("localhost", serving.port, { ssl }), asyncio.SSLError);
    assert.deepEqual(reports.all, []);
  });
});

describe("Versions of TLS", () => {
  for (const version of versions) {
    const bounds = { minVersion: version, maxVersion: version };

    it(`openConnection() and startServer() speak ${version}; getExtraInfo() knows, also after close()`, async () => {
      let accepted: asyncio.StreamWriter | undefined;
      await using serving = await serve(
        async (reader, writer) => {
          accepted = writer;
          await echo(reader, writer);
        },
        { ssl: { ...local, ...bounds } },
      );
      const ssl = { ca };
      const streams = await asyncio.openConnection("localhost", serving.port, { ssl });
      const [, writer] = streams;
      const told = (): unknown[] =>
        ["sslcontext", "ssl_object", "peercert", "cipher", "compression", "alpn", "peername", "sockname", "socket"].map(
          (name) => writer.getExtraInfo(name),
        );
      const before = told();
      const [context, object, certificate, cipher, compression, alpn, peername] = before;
      assert.equal(context, ssl);
      assert.ok(object instanceof tls.TLSSocket);
      assert.equal((certificate as tls.PeerCertificate).subject.CN, "server");
      const [name, protocol, bits] = cipher as [string, string, number];
      assert.match(name, version === "TLSv1.3" ? /^TLS_/ : /^(ECDHE|DHE)-/);
      assert.equal(protocol, version);
      assert.ok(bits === 128 || bits === 256);
      assert.equal(compression, null);
      assert.equal(alpn, null);
      assert.equal(String(peername), `${HOST}:${serving.port}`);
      await ask(streams);
      assert.deepEqual(told(), before);
      assert.equal(accepted?.getExtraInfo("peercert"), null, "no certificate was asked for");
      assert.equal(accepted?.getExtraInfo("cipher")?.[1], version);
      assert.equal(accepted?.getExtraInfo("servername"), "localhost");
    });

    it(`${version} only on one side and not on the other is an SSLError, and no report`, async () => {
      using reports = new Reports();
      await using serving = await serve(echo, { ssl: { ...local, ...bounds } });
      const rest = version === "TLSv1.2" ? { minVersion: "TLSv1.3" } : { maxVersion: "TLSv1.2" };
      await assert.rejects(open("localhost", serving.port, { ssl: { ca, ...rest } }), asyncio.SSLError);
      assert.deepEqual(reports.all, []);
      await ask(await asyncio.openConnection("localhost", serving.port, { ssl: { ca } }));
    });

    describe(`Client certificates in ${version}`, () => {
      /** What the server says about a client with this identity, and what the client hears. */
      async function present(
        ssl: tls.TlsOptions,
        identity: Identity | null,
      ): Promise<{ served: string[]; heard: unknown; reports: string[] }> {
        using reports = new Reports();
        const served: string[] = [];
        await using serving = await serve(
          async (reader, writer) => {
            served.push(String(writer.getExtraInfo("peercert")?.subject.CN ?? "nobody"));
            await echo(reader, writer);
          },
          { ssl: { ...local, ...bounds, ...ssl } },
        );
        const options = { ssl: { ca, ...identity } };
        // In TLS 1.3 the client is done before the server has looked at its certificate.
        const heard = await outcomeOf(asyncio.openConnection("localhost", serving.port, options).then(ask));
        serving.server.close();
        await serving.server.waitClosed();
        return { served, heard, reports: reports.messages };
      }

      it("requestCert: a good one is accepted, and known by getExtraInfo('peercert')", async () => {
        const outcome = await present({ requestCert: true, ca }, client);
        assert.deepEqual(outcome, { served: ["client"], heard: undefined, reports: [] });
      });

      it("requestCert: a client without one is turned away", async () => {
        const { served, heard, reports } = await present({ requestCert: true, ca }, null);
        assert.deepEqual({ served, reports }, { served: [], reports: [] });
        assert.ok(heard instanceof asyncio.OSError || heard instanceof assert.AssertionError, String(heard));
        if (runtime.startsWith("node")) {
          assert.ok(heard instanceof asyncio.SSLError, `told why: ${heard}`);
        }
      });

      it("requestCert: one of an unknown authority is turned away, as is one that has expired", async () => {
        for (const identity of [stranger, expired]) {
          const { served, heard, reports } = await present({ requestCert: true, ca }, identity);
          assert.deepEqual({ served, reports }, { served: [], reports: [] });
          assert.ok(heard instanceof Error, String(heard));
        }
      });

      it("requestCert with rejectUnauthorized: false: every client is served", async () => {
        const optional = { requestCert: true, rejectUnauthorized: false, ca };
        assert.deepEqual((await present(optional, null)).served, ["nobody"]);
        assert.deepEqual((await present(optional, client)).served, ["client"]);
      });

      it("requestCert: a session that is resumed keeps the certificate", {
        skip: limitOf("session resumption"),
      }, async () => {
        const served: string[] = [];
        await using serving = await serve(
          async (reader, writer) => {
            served.push(String(writer.getExtraInfo("peercert")?.subject.CN ?? "nobody"));
            await echo(reader, writer);
          },
          { ssl: { ...local, ...bounds, requestCert: true, ca } },
        );
        const first = await tlsClient(serving.port, { ...client, servername: "localhost" });
        // TLS 1.3 hands sessions out after the handshake, TLS 1.2 within it.
        const ticket = version === "TLSv1.3" ? once(first.tls, "session") : [first.tls.getSession()];
        first.peer.write("one\n");
        await first.peer.received(4);
        const [session] = (await ticket) as [Buffer];
        first.tls.end();
        const second = await tlsClient(serving.port, { ...client, session, servername: "localhost" });
        assert.equal(second.tls.isSessionReused(), true);
        second.peer.write("two\n");
        assert.equal(await second.peer.received(4), "two\n");
        second.tls.end();
        await second.peer.untilClosed();
        assert.deepEqual(served, ["client", "client"]);
      });
    });
  }

  it("getExtraInfo() of a plain connection knows nothing of TLS", async () => {
    await using serving = await serve(echo);
    const streams = await asyncio.openConnection(HOST, portOf(serving.server));
    for (const name of ["sslcontext", "ssl_object", "peercert", "cipher", "alpn", "servername"]) {
      assert.equal(streams[1].getExtraInfo(name), null);
      assert.equal(streams[1].getExtraInfo(name, "fallback"), "fallback");
    }
    await ask(streams);
  });
});
