/** The SMTP server of examples/ under swaks, openssl, and clients that cheat. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type EndedExternal,
  makeCertificate,
  missing,
  runExternal,
  type ServingExample,
  serveExample,
} from "../../support/external.ts";
import { Peer, rawConnection } from "../../support/peers.ts";
import { TemporaryFolder } from "../../support/temporary-folder.ts";

async function withServer(body: (server: ServingExample, certificate: string) => Promise<void>): Promise<void> {
  using folder = new TemporaryFolder();
  const { key, cert } = await makeCertificate(folder);
  await using server = await serveExample("smtp-server", key, cert);
  await body(server, cert);
  assert.equal(server.process.stderr, "");
}

interface Message {
  readonly from: string;
  readonly to: readonly string[];
  readonly tls: boolean;
  readonly message: string;
}

/** The messages that the server has printed. */
function messages({ process }: ServingExample): Message[] {
  const [, ...lines] = process.stdout.trim().split("\n");
  return lines.map((line) => JSON.parse(line));
}

describe("swaks", { skip: missing("swaks", "openssl") }, () => {
  const envelope = ["--from", "a@example.org", "--to", "b@example.org,c@example.org"];

  function swaks(port: number, ...args: string[]): Promise<EndedExternal> {
    return runExternal("swaks", ["--server", "127.0.0.1", "--port", String(port), ...envelope, ...args]);
  }

  it("swaks delivers a message over STARTTLS, lines that begin with a dot as they are", () =>
    withServer(async (server) => {
      const body = ".\n..two\n.three\nend";
      const { status, stdout } = await swaks(server.port, "--tls", "--body", body, "--header", "Subject: dots");
      assert.equal(status, 0, stdout);
      assert.match(stdout, /TLS started with cipher TLSv1\.3/);
      const [message] = messages(server);
      assert.equal(message?.from, "a@example.org");
      assert.deepEqual(message?.to, ["b@example.org", "c@example.org"]);
      assert.equal(message?.tls, true);
      assert.match(message?.message ?? "", /Subject: dots\r\n/);
      assert.match(message?.message ?? "", /\r\n\.\r\n\.\.two\r\n\.three\r\nend\r\n/);
    }));

  it("swaks sends its commands at once with PIPELINING, after STARTTLS", () =>
    withServer(async (server) => {
      const { status, stdout } = await swaks(server.port, "--tls", "--pipeline", "--body", "text");
      assert.equal(status, 0, stdout);
      assert.equal(messages(server).length, 1);
    }));

  it("swaks is refused without TLS, and a message that is too large is refused with it", () =>
    withServer(async (server) => {
      const open = await swaks(server.port, "--body", "text");
      assert.match(open.stdout, /<\*\* 530 STARTTLS first/);
      const args = ["--server", "127.0.0.1", "--port", String(server.port), ...envelope, "--tls", "--data", "-"];
      const large = await runExternal("swaks", args, `Subject: large\n\n${"0123456789abcde\n".repeat(70_000)}`);
      assert.match(large.stdout, /<\S* 552 message is too large/);
      assert.deepEqual(messages(server), []);
    }));
});

describe("openssl s_client -starttls smtp", { skip: missing("openssl") }, () => {
  for (const version of ["tls1_2", "tls1_3"]) {
    it(`openssl s_client -${version} verifies the certificate after STARTTLS, and talks on`, () =>
      withServer(async (server, cert) => {
        const address = ["-connect", `127.0.0.1:${server.port}`, "-starttls", "smtp", `-${version}`];
        const check = ["-CAfile", cert, "-verify_return_error", "-crlf", "-quiet", "-ign_eof"];
        const { stdout, stderr } = await runExternal("openssl", ["s_client", ...address, ...check], "EHLO x\nQUIT\n");
        assert.match(stdout, /250 SIZE/, stderr);
        assert.match(stdout, /221 localhost good bye/);
        assert.doesNotMatch(stdout, /STARTTLS/);
      }));
  }
});

describe("cheating clients of the SMTP server", { skip: missing("openssl") }, () => {
  async function talk(port: number, text: string): Promise<Peer> {
    const peer = new Peer(await rawConnection(port), true);
    await peer.received(1);
    peer.write(text);
    return peer;
  }

  it("smtp-server executes no command that was sent behind STARTTLS before the handshake", () =>
    withServer(async (server) => {
      const injected = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nbad\r\n.\r\n";
      const peer = await talk(server.port, `EHLO x\r\nSTARTTLS\r\n${injected}`);
      await peer.untilEnded();
      const [, ...answers] = peer.text.split("220 go ahead\r\n");
      assert.equal(answers.length, 1, peer.text);
      assert.doesNotMatch(answers.join(""), /250|354|503/);
      assert.deepEqual(messages(server), []);
      peer.socket.destroy();
    }));

  it("smtp-server refuses lines of more than 512 bytes, and closes on one without an end", () =>
    withServer(async (server) => {
      const peer = await talk(server.port, `NOOP ${"x".repeat(505)}\r\nNOOP ${"x".repeat(506)}\r\nNOOP\r\n`);
      await peer.received(3 * 20);
      peer.write("QUIT\r\n");
      await peer.untilEnded();
      const codes = peer.text.match(/^\d{3}/gm);
      assert.deepEqual(codes, ["220", "250", "500", "250", "221"]);
      peer.socket.destroy();

      const endless = await talk(server.port, "x".repeat(100_000));
      await endless.untilEnded();
      endless.socket.destroy();
    }));

  it("smtp-server ends a session after ten errors", () =>
    withServer(async (server) => {
      const peer = await talk(server.port, "NONSENSE\r\n".repeat(50));
      await peer.untilEnded();
      assert.equal(peer.text.match(/^502/gm)?.length, 10);
      assert.match(peer.text, /421 localhost too many errors\r\n$/);
      peer.socket.destroy();
    }));
});
