/** openssl's s_client and s_server, which speak TLS by the book, and tell what they hear. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { certificates, type Holder } from "../../support/certificates.ts";
import { type EndedExternal, External, missing, runExternal } from "../../support/external.ts";
import { eventually, freePort, outcomeOf, Reports, type Serving, serve, stillWaits } from "../../support/peers.ts";
import { TemporaryFolder } from "../../support/temporary-folder.ts";

const HOST = "127.0.0.1";
const MEGABYTE = 2 ** 20;

const versions = [
  ["tls1_2", "TLSv1.2"],
  ["tls1_3", "TLSv1.3"],
] as const;

/** The words for an identity. */
const identity = (holder: Holder): string[] => [
  "-cert",
  certificates().certFile(holder),
  "-key",
  certificates().keyFile(holder),
];

/** The arguments for s_client to trust our authority only. */
const trust = (): string[] => ["-CAfile", certificates().certFile("ca"), "-verify_return_error"];

function startClient(port: number, ...args: readonly string[]): External {
  return new External("openssl", ["s_client", "-connect", `${HOST}:${port}`, ...args]);
}

/** Runs s_client to its end, which comes when its input has ended. */
function runClient(port: number, input: string, ...args: readonly string[]): Promise<EndedExternal> {
  return runExternal("openssl", ["s_client", "-connect", `${HOST}:${port}`, ...args], input);
}

async function echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter): Promise<void> {
  for await (const line of reader) {
    await writer.send(line);
  }
  writer.close();
}

/** One that is served, whatever others did. */
async function assertServes(serving: Serving): Promise<void> {
  const args = ["-quiet", ...trust()];
  await using client = startClient(serving.port, ...args);
  client.write("still there?\n");
  await client.printed(/still there\?\n/);
}

describe("openssl s_client", { skip: missing("openssl") }, () => {
  const { server: local, ca } = certificates();

  for (const [option, version] of versions) {
    const ssl = { ...local, minVersion: version, maxVersion: version };

    it(`s_client -${option} sends a megabyte, and gets one back, after which close() is an end with close_notify`, async () => {
      using reports = new Reports();
      using folder = new TemporaryFolder();
      const up = randomBytes(MEGABYTE);
      const down = randomBytes(MEGABYTE);
      let received: Buffer | null = null;
      await using serving = await serve(
        async (reader, writer) => {
          received = await reader.readexactly(MEGABYTE);
          await writer.send(down);
          writer.close();
          await writer.waitClosed();
        },
        { ssl },
      );
      const messages = folder.file("messages");
      const args = [`-${option}`, "-quiet", "-msg", "-msgfile", messages, ...trust()];
      await using client = startClient(serving.port, ...args);
      client.write(up);
      assert.equal(await client.ended(), 0, client.stderr);
      assert.ok(client.bytes.equals(down));
      assert.ok(up.equals(received ?? Buffer.alloc(0)));
      assert.match(readFileSync(messages, "utf8"), /^<<< TLS 1\.\d, Alert.*close_notify$/m);
      assert.deepEqual(reports.all, []);
    });

    it(`s_client -${option} ends with close_notify: StreamReader.read() gives everything, and the EOF`, async () => {
      const received = new asyncio.Future<string>();
      await using serving = await serve(
        async (reader, writer) => {
          received.setResult(String(await reader.read()));
          writer.close();
        },
        { ssl },
      );
      const { stdout } = await runClient(serving.port, "hello\n", `-${option}`, "-no_ign_eof", ...trust());
      assert.equal(await received, "hello\n");
      assert.match(stdout, /Verify return code: 0 \(ok\)/);
      assert.match(stdout, new RegExp(`New, ${version.replace("TLSv1.2", "TLSv1\\.[0-2]")}, Cipher is `));
    });

    it(`s_client -${option} reports the same cipher as getExtraInfo()`, async () => {
      const told = new asyncio.Future<readonly unknown[]>();
      await using serving = await serve(
        async (_reader, writer) => {
          told.setResult(writer.getExtraInfo("cipher") ?? []);
          writer.close();
        },
        { ssl },
      );
      await using client = startClient(serving.port, `-${option}`, ...trust());
      const [, name] = await client.printed(/Cipher is (\S+)/);
      const [ours, protocol, bits] = await told;
      assert.equal(ours, name);
      assert.equal(protocol, version);
      assert.ok(bits === 128 || bits === 256);
    });

    it(`s_client -${option} resumes its session`, async () => {
      using folder = new TemporaryFolder();
      const session = folder.file("session");
      await using serving = await serve(echo, { ssl });
      const visit = async (word: string): Promise<string> => {
        await using client = startClient(serving.port, `-${option}`, word, session, "-ign_eof", ...trust());
        client.write("hello\n");
        // The ticket of TLS 1.3 has come before the answer.
        await client.printed(/^hello$/m);
        client.kill("SIGINT");
        await client.printed(/(?:New|Reused), TLSv1/);
        return client.stdout;
      };
      const first = await visit("-sess_out");
      assert.match(first, /^New, /m);
      assert.ok(await eventually(() => readFileSync(session).length > 0));
      assert.match(await visit("-sess_in"), /^Reused, /m);
    });

    it(`s_client -${option} -verify_return_error that does not trust the server leaves it serving, without a report`, async () => {
      using reports = new Reports();
      let handled = 0;
      await using serving = await serve(
        async (reader, writer) => {
          handled += 1;
          await echo(reader, writer);
        },
        { ssl },
      );
      const stranger = ["-CAfile", certificates().certFile("stranger"), "-verify_return_error"];
      const { status, stderr } = await runClient(serving.port, "", `-${option}`, ...stranger);
      assert.equal(status, 1);
      assert.match(stderr, /certificate verify failed/);
      await assertServes(serving);
      assert.equal(handled, 1);
      assert.deepEqual(reports.all, []);
    });

    it(`s_client -${option} shows its certificate, if it has one that is good`, async () => {
      using reports = new Reports();
      const names: string[] = [];
      await using serving = await serve(
        async (_reader, writer) => {
          names.push(String(writer.getExtraInfo("peercert")?.subject.CN ?? "nobody"));
          await writer.send("welcome\n");
          writer.close();
        },
        { ssl: { ...ssl, ca, requestCert: true } },
      );
      const visit = (...args: string[]): Promise<EndedExternal> =>
        runClient(serving.port, "", `-${option}`, "-quiet", ...trust(), ...args);
      assert.match((await visit(...identity("client"))).stdout, /^welcome$/m);
      // Turned away with an alert, by its name.
      const nobody = await visit();
      assert.doesNotMatch(nobody.stdout, /welcome/);
      assert.match(nobody.stderr, /alert (?:certificate required|handshake failure)/);
      // Without one: Node gets to judge a certificate only when it has shaken hands.
      const stranger = await visit(...identity("stranger"));
      assert.equal(stranger.status, 1);
      assert.doesNotMatch(stranger.stdout, /welcome/);
      assert.deepEqual(names, ["client"]);
      assert.deepEqual(reports.all, []);
    });

    it(`s_client -${option} that is killed is an EOF for a reader that waits`, async () => {
      using reports = new Reports();
      const done = new asyncio.Future<unknown>();
      await using serving = await serve(
        async (reader, writer) => {
          await writer.send(await reader.readline());
          done.setResult(await outcomeOf(reader.readexactly(10)));
          writer.close();
        },
        { ssl },
      );
      await using client = startClient(serving.port, `-${option}`, "-quiet", ...trust());
      client.write("first\nabc");
      // It has read everything then: what it had not would make its end a reset.
      await client.printed(/^first$/m);
      assert.ok(await stillWaits(done));
      client.kill("SIGKILL");
      const error = await done;
      assert.ok(error instanceof asyncio.IncompleteReadError, String(error));
      assert.equal(String(error.partial), "abc");
      assert.deepEqual(reports.all, []);
    });

    it(`s_client -${option} that is stopped, and killed, in the middle of much data ends drain() with a ConnectionError`, async () => {
      using reports = new Reports();
      const done = new asyncio.Future<[unknown, unknown]>();
      let sent = 0;
      await using serving = await serve(
        async (_reader, writer) => {
          const send = async (): Promise<void> => {
            for (;;) {
              await writer.send(Buffer.alloc(MEGABYTE));
              sent += 1;
            }
          };
          const error = await outcomeOf(send());
          done.setResult([error, await outcomeOf(writer.waitClosed())]);
        },
        { ssl },
      );
      await using client = startClient(serving.port, `-${option}`, "-quiet", ...trust());
      assert.ok(await eventually(() => client.bytes.length > 0));
      client.kill("SIGSTOP");
      assert.ok(await stillWaits(done));
      client.kill("SIGKILL");
      const [error, closed] = await done;
      assert.ok(error instanceof asyncio.ConnectionError, String(error));
      assert.ok(closed === undefined || closed instanceof asyncio.ConnectionError, String(closed));
      assert.ok(sent < 64, "it was waited for the peer");
      assert.deepEqual(reports.all, []);
    });

    it(`s_client -${option} -starttls smtp: what comes after the handshake is of the handshake's making`, async () => {
      using reports = new Reports();
      const seen: string[] = [];
      await using serving = await serve(async (reader, writer) => {
        await writer.send("220 test ESMTP\r\n");
        for await (const line of reader) {
          const word = String(line).trim();
          seen.push(word);
          if (word === "STARTTLS") {
            await writer.send("220 go ahead\r\n");
            await writer.startTls(ssl);
            seen.push(`TLS ${writer.getExtraInfo("cipher")?.[1]}`);
          } else if (word === "QUIT") {
            await writer.send("221 bye\r\n");
            break;
          } else {
            await writer.send("250-test\r\n250 STARTTLS\r\n");
          }
        }
        writer.close();
      });
      const args = ["-starttls", "smtp", "-name", "client.test", `-${option}`, "-crlf", "-quiet", ...trust()];
      const { status, stdout, stderr } = await runClient(serving.port, "NOOP\nQUIT\n", ...args);
      assert.equal(status, 0, stderr);
      assert.deepEqual(seen, ["EHLO client.test", "STARTTLS", `TLS ${version}`, "NOOP", "QUIT"]);
      assert.match(stdout, /250 STARTTLS\r\n221 bye\r\n$/);
      assert.deepEqual(reports.all, []);
    });
  }

  it("s_client -servername: getExtraInfo('servername') knows the name, and none without it", async () => {
    const names: unknown[] = [];
    await using serving = await serve(
      async (_reader, writer) => {
        names.push(writer.getExtraInfo("servername"));
        writer.close();
      },
      { ssl: { ...local } },
    );
    await runClient(serving.port, "", "-servername", "alternative.test", "-verify_hostname", "localhost", ...trust());
    await runClient(serving.port, "", "-noservername", ...trust());
    assert.deepEqual(names, ["alternative.test", null]);
  });

  it("s_client -alpn: the first of the server's protocols that the client knows, or no connection", async () => {
    const chosen: unknown[] = [];
    await using serving = await serve(
      async (_reader, writer) => {
        chosen.push(writer.getExtraInfo("alpn"));
        writer.close();
      },
      { ssl: { ...local, ALPNProtocols: ["second/2", "first/1"] } },
    );
    const { stdout } = await runClient(serving.port, "", "-alpn", "first/1,second/2", ...trust());
    assert.match(stdout, /^ALPN protocol: second\/2$/m);
    const refused = await runClient(serving.port, "", "-alpn", "third/3", ...trust());
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /alert no application protocol/);
    await runClient(serving.port, "", ...trust());
    assert.deepEqual(chosen, ["second/2", null]);
  });

  it("s_client with an older version than the server gets an alert, and no handler runs", async () => {
    using reports = new Reports();
    let handled = 0;
    await using serving = await serve(
      () => {
        handled += 1;
      },
      { ssl: { ...local, minVersion: "TLSv1.3" } },
    );
    const { status, stderr } = await runClient(serving.port, "", "-tls1_2", ...trust());
    assert.equal(status, 1);
    assert.match(stderr, /alert protocol version/);
    assert.equal(handled, 0);
    assert.deepEqual(reports.all, []);
  });

  it("s_client that changes its keys in the middle of TLS 1.3 talks on", async () => {
    await using serving = await serve(echo, { ssl: { ...local, minVersion: "TLSv1.3" } });
    await using client = startClient(serving.port, ...trust());
    client.write("one\n");
    await client.printed(/^one$/m);
    // Its command for a KeyUpdate that asks the server for one as well.
    client.write("K\n");
    await client.printed(/^KEYUPDATE$/m);
    client.write("two\n");
    await client.printed(/^two$/m);
  });

  it("s_client that renegotiates over and over is shown the door, and others are served", async () => {
    using reports = new Reports();
    const ends: unknown[] = [];
    await using serving = await serve(
      async (reader, writer) => {
        ends.push(await outcomeOf(echo(reader, writer)));
        writer.close();
      },
      { ssl: { ...local, maxVersion: "TLSv1.2" } },
    );
    await using client = startClient(serving.port, ...trust());
    client.write("one\n");
    await client.printed(/^one$/m);
    for (let i = 0; i < 50 && ends.length === 0; i++) {
      client.write("R\n");
      await asyncio.sleep(0.05);
    }
    await client.ended();
    assert.ok(await eventually(() => ends.length === 1));
    const [error] = ends;
    assert.ok(error instanceof asyncio.SSLError, String(error));
    assert.equal(error.code, "ERR_TLS_SESSION_ATTACK");
    await assertServes(serving);
    assert.deepEqual(reports.all, []);
  });

  it("s_client in fifty processes at once: each gets its own answer", async () => {
    await using serving = await serve(echo, { ssl: { ...local } });
    const visit = async (i: number): Promise<void> => {
      await using client = startClient(serving.port, "-quiet", ...trust());
      client.write(`client ${i}\n`);
      await client.printed(new RegExp(`^client ${i}$`, "m"));
    };
    await Promise.all(Array.from({ length: 50 }, (_, i) => visit(i)));
  });
});

describe("openssl s_server", { skip: missing("openssl") }, () => {
  const { ca, client: ours } = certificates();

  interface Running extends AsyncDisposable {
    readonly port: number;
    readonly process: External;
  }

  async function startServer(...args: readonly string[]): Promise<Running> {
    const port = await freePort();
    const process = new External("openssl", ["s_server", "-accept", `${HOST}:${port}`, ...args]);
    await process.listening(port);
    return { port, process, [Symbol.asyncDispose]: () => process[Symbol.asyncDispose]() };
  }

  for (const [option, version] of versions) {
    it(`s_server -${option} -rev answers line by line, and after writeEof() to the last`, async () => {
      await using server = await startServer(`-${option}`, "-rev", ...identity("server"));
      const [reader, writer] = await asyncio.openConnection("localhost", server.port, { ssl: { ca } });
      assert.equal(writer.getExtraInfo("cipher")?.[1], version);
      assert.equal(writer.getExtraInfo("peercert")?.subject.CN, "server");
      for (const line of ["hello", "x".repeat(10_000), "good bye"]) {
        await writer.send(`${line}\n`);
        assert.equal(String(await reader.readline()), `${line.split("").reverse().join("")}\n`);
      }
      writer.writelines(["one\n", "two\n", "three\n"]);
      writer.writeEof();
      assert.equal(String(await reader.read()), "eno\nowt\neerht\n");
      writer.close();
      await writer.waitClosed();
    });

    it(`s_server -${option} gets a megabyte, and sends one`, async () => {
      const up = randomBytes(MEGABYTE);
      const down = randomBytes(MEGABYTE);
      await using server = await startServer(`-${option}`, "-quiet", ...identity("server"));
      const [reader, writer] = await asyncio.openConnection("localhost", server.port, { ssl: { ca } });
      server.process.write(down);
      const [received] = await asyncio.gather([() => reader.readexactly(MEGABYTE), () => writer.send(up)]);
      assert.ok(received.equals(down));
      writer.close();
      await writer.waitClosed();
      assert.ok(await eventually(() => server.process.bytes.length >= MEGABYTE));
      assert.ok(server.process.bytes.equals(up));
    });

    it(`s_server -${option} hears the close_notify of close(), and answers it where sslShutdownTimeout waits for it`, async () => {
      using folder = new TemporaryFolder();
      const messages = folder.file("messages");
      const args = ["-msg", "-msgfile", messages, ...identity("server")];
      await using server = await startServer(`-${option}`, ...args);
      for (const options of [{}, { sslShutdownTimeout: 60 }]) {
        const before = readFileSync(messages, "utf8").length;
        const [reader, writer] = await asyncio.openConnection("localhost", server.port, { ssl: { ca }, ...options });
        await writer.send("last words\n");
        writer.close();
        await writer.waitClosed();
        assert.equal(reader.atEof(), true);
        const heard = (): string => readFileSync(messages, "utf8").slice(before);
        assert.ok(await eventually(() => /^<<< TLS 1\.\d, Alert.*close_notify$/m.test(heard())), heard());
      }
      assert.equal(server.process.stdout.match(/^last words$/gm)?.length, 2);
    });

    it(`s_server -${option} that is stopped does not answer close_notify: TimeoutError after sslShutdownTimeout, and nothing without it`, async () => {
      await using server = await startServer(`-${option}`, "-quiet", ...identity("server"));
      const open = (options: object): Promise<[asyncio.StreamReader, asyncio.StreamWriter]> =>
        asyncio.openConnection("localhost", server.port, { ssl: { ca }, ...options });
      const [, waiting] = await open({ sslShutdownTimeout: 0.2 });
      server.process.kill("SIGSTOP");
      try {
        waiting.close();
        await assert.rejects(waiting.waitClosed(), { name: "TimeoutError", message: "SSL shutdown timed out" });
      } finally {
        server.process.kill("SIGCONT");
      }
      const [, hasty] = await open({});
      server.process.kill("SIGSTOP");
      try {
        hasty.close();
        await hasty.waitClosed();
      } finally {
        server.process.kill("SIGCONT");
      }
    });

    it(`s_server -${option} that is stopped does not shake hands: ConnectionAbortedError after sslHandshakeTimeout`, async () => {
      await using server = await startServer(`-${option}`, "-quiet", ...identity("server"));
      server.process.kill("SIGSTOP");
      try {
        const options = { ssl: { ca }, sslHandshakeTimeout: 0.2 };
        await assert.rejects(asyncio.openConnection("localhost", server.port, options), {
          name: "ConnectionAbortedError",
          code: "ECONNABORTED",
        });
      } finally {
        server.process.kill("SIGCONT");
      }
    });

    it(`s_server -${option} that is killed in mid-stream: what had come can be read, then the end`, async () => {
      await using server = await startServer(`-${option}`, "-quiet", ...identity("server"));
      const [reader, writer] = await asyncio.openConnection("localhost", server.port, { ssl: { ca } });
      server.process.write("first\nsecond, without an en");
      assert.equal(String(await reader.readline()), "first\n");
      assert.equal(String(await reader.peek(20)), "second, without an e");
      const line = outcomeOf(reader.readuntil("\n"));
      assert.ok(await stillWaits(line));
      server.process.kill("SIGKILL");
      const error = await line;
      assert.ok(error instanceof asyncio.IncompleteReadError, String(error));
      assert.equal(String(error.partial), "second, without an en");
      // Writes find out sooner or later.
      const send = async (): Promise<void> => {
        for (;;) {
          await writer.send("anybody there?\n");
          await asyncio.sleep(0);
        }
      };
      assert.ok((await outcomeOf(send())) instanceof asyncio.ConnectionError);
      writer.close();
      await outcomeOf(writer.waitClosed());
    });

    it(`s_server -${option} -Verify asks for a certificate, and accepts ours only`, async () => {
      const args = ["-rev", "-Verify", "1", "-verify_return_error", "-CAfile", certificates().certFile("ca")];
      await using server = await startServer(`-${option}`, ...args, ...identity("server"));
      const talk = async (ssl: object): Promise<string> => {
        const [reader, writer] = await asyncio.openConnection("localhost", server.port, { ssl: { ca, ...ssl } });
        try {
          await writer.send("hello\n");
          return String(await reader.readline());
        } finally {
          await writer[Symbol.asyncDispose]();
        }
      };
      assert.equal(await talk(ours), "olleh\n");
      // In TLS 1.3 the client has shaken hands before the server has seen what it has; the first use tells.
      for (const [ssl, code] of [
        [{}, /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/],
        [certificates().stranger, /UNKNOWN_CA|HANDSHAKE_FAILURE|BAD_CERTIFICATE/],
      ] as const) {
        const error = await outcomeOf(talk(ssl));
        assert.ok(error instanceof asyncio.SSLError, String(error));
        assert.ok(!(error instanceof asyncio.SSLCertVerificationError));
        assert.match(error.code, code);
      }
      assert.equal(await talk(ours), "olleh\n");
    });
  }

  const distrusted = [
    ["of an unknown authority", "stranger", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ["that has expired", "expired", "CERT_HAS_EXPIRED"],
    ["for another name", "other", "ERR_TLS_CERT_ALTNAME_INVALID"],
  ] as const;
  for (const [what, holder, code] of distrusted) {
    it(`s_server with a certificate ${what} is an SSLCertVerificationError with ${code}`, async () => {
      await using server = await startServer("-rev", ...identity(holder));
      await assert.rejects(asyncio.openConnection("localhost", server.port, { ssl: { ca } }), {
        name: "SSLCertVerificationError",
        code,
      });
      // A client that allows it continues nevertheless.
      const ssl = { rejectUnauthorized: false };
      const [reader, writer] = await asyncio.openConnection("localhost", server.port, { ssl });
      await writer.send("hello\n");
      assert.equal(String(await reader.readline()), "olleh\n");
      assert.equal(writer.getExtraInfo("peercert")?.subject.CN, holder);
      await writer[Symbol.asyncDispose]();
    });
  }

  it("s_server -servername chooses its certificate by serverHostname", async () => {
    const second = ["-cert2", certificates().certFile("other"), "-key2", certificates().keyFile("other")];
    const args = ["-rev", "-servername", "other.test", ...second, ...identity("server")];
    await using server = await startServer(...args);
    for (const [serverHostname, name] of [
      ["other.test", "other"],
      ["localhost", "server"],
    ] as const) {
      const [, writer] = await asyncio.openConnection(HOST, server.port, { ssl: { ca }, serverHostname });
      assert.equal(writer.getExtraInfo("peercert")?.subject.CN, name);
      await writer[Symbol.asyncDispose]();
    }
  });

  it("s_server -alpn: getExtraInfo('alpn') knows what was agreed on", async () => {
    await using server = await startServer("-rev", "-alpn", "first/1,second/2", ...identity("server"));
    for (const [protocols, agreed] of [
      [["second/2"], "second/2"],
      [["third/3", "first/1"], "first/1"],
      [undefined, null],
    ] as const) {
      const ssl = { ca, ...(protocols === undefined ? {} : { ALPNProtocols: [...protocols] }) };
      const [, writer] = await asyncio.openConnection("localhost", server.port, { ssl });
      assert.equal(writer.getExtraInfo("alpn"), agreed);
      await writer[Symbol.asyncDispose]();
    }
  });

  it("s_server that speaks TLS 1.3 only is an SSLError for a client that does not", async () => {
    await using server = await startServer("-tls1_3", "-rev", ...identity("server"));
    const ssl = { ca, maxVersion: "TLSv1.2" } as const;
    const error = await outcomeOf(asyncio.openConnection("localhost", server.port, { ssl }));
    assert.ok(error instanceof asyncio.SSLError, String(error));
    assert.match(error.code, /PROTOCOL_VERSION/);
  });

  it("s_server -www answers a request, and ends: StreamReader.read() gives all of it", async () => {
    await using server = await startServer("-www", ...identity("server"));
    const [reader, writer] = await asyncio.openConnection("localhost", server.port, { ssl: { ca } });
    await writer.send("GET / HTTP/1.0\r\n\r\n");
    assert.equal(String(await reader.readline()), "HTTP/1.0 200 ok\r\n");
    assert.match(String(await reader.read()), /s_server -accept.*<\/HTML>/is);
    writer.close();
    await writer.waitClosed();
  });

  it("s_server that renegotiates, or changes its keys, in the middle: nothing is lost", async () => {
    for (const [option, word] of [
      ["-tls1_2", "r"],
      ["-tls1_3", "K"],
    ] as const) {
      await using server = await startServer(option, ...identity("server"));
      const [reader, writer] = await asyncio.openConnection("localhost", server.port, { ssl: { ca } });
      server.process.write("one\n");
      assert.equal(String(await reader.readline()), "one\n");
      server.process.write(`${word}\n`);
      await asyncio.sleep(0.1);
      await writer.send("between\n");
      await server.process.printed(/^between$/m);
      server.process.write("two\n");
      assert.equal(String(await reader.readline()), "two\n");
      await writer[Symbol.asyncDispose]();
    }
  });
});
