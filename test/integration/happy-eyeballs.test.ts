/** Connecting to one of several addresses: in turn, or in a race (RFC 8305). */
import assert from "node:assert/strict";
import dns from "node:dns";
import { once } from "node:events";
import * as net from "node:net";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { type ConnectRequest, connectAny, interleaved } from "#dist/asyncio/transports/connect.js";
import { closed, eventually, freePort, outcomeOf, portOf, turns } from "../support/peers.ts";
import { limitOf } from "../support/runtime-limits.ts";
import { Attempts, silentListener } from "../support/silent-listeners.ts";

/** Long enough for what happens immediately; no test waits for it in vain. */
const SHORT = 0.02; // seconds
/** Longer than any test may take. */
const NEVER = 3600; // seconds

/** A listener at the address and the port; its connections end with it. */
async function listening(host: string, port = 0): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets: net.Socket[] = [];
  const listener = net.createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
  });
  listener.listen(port, host);
  await once(listener, "listening");
  return {
    port: portOf(listener),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) {
        socket.destroy();
      }
      await closed(listener);
    },
  };
}

function race(addresses: readonly string[], port: number, more: Partial<ConnectRequest> = {}): Promise<net.Socket> {
  return connectAny({
    addresses,
    port,
    localAddresses: undefined,
    localPort: undefined,
    delay: null,
    allErrors: false,
    what: () => "race",
    ...more,
  });
}

/** Makes a host name resolve to these addresses, until it is disposed of. */
function resolving(addresses: readonly string[]): Disposable {
  const { lookup } = dns.promises;
  const answer = addresses.map((address) => ({ address, family: net.isIP(address) }));
  dns.promises.lookup = (async () => answer) as unknown as typeof lookup;
  return {
    [Symbol.dispose]() {
      dns.promises.lookup = lookup;
    },
  };
}

describe("interleaved()", () => {
  const [a, b, c, d] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"] as const;
  const [v, w, x] = ["fd00::1", "fd00::2", "fd00::3"] as const;
  const cases: readonly (readonly [readonly string[], number, readonly string[]])[] = [
    [[], 1, []],
    [[a], 1, [a]],
    [[a, b, c], 1, [a, b, c]],
    [[a, b, v, w], 1, [a, v, b, w]],
    [[v, w, a, b], 1, [v, a, w, b]],
    [[v, w, x, a], 1, [v, a, w, x]],
    [[v, a, b, c], 1, [v, a, b, c]],
    [[a, b, c, d, v, w, x], 1, [a, v, b, w, c, x, d]],
    [[a, b, c, d, v, w, x], 2, [a, b, v, c, w, d, x]],
    [[a, b, c, d, v, w, x], 3, [a, b, c, v, d, w, x]],
    [[a, b, c, d, v, w, x], 4, [a, b, c, d, v, w, x]],
    [[a, b, v, w], 9, [a, b, v, w]],
    [[a, v, b, w], 2, [a, b, v, w]],
  ];
  for (const [given, first, expected] of cases) {
    it(`interleaved([${given}], ${first}) gives [${expected}] and leaves what it was given`, () => {
      const before = [...given];
      assert.deepEqual(interleaved(given, first), expected);
      assert.deepEqual(given, before);
    });
  }
});

describe("Connecting to several addresses in turn", () => {
  it("connectAny() without a delay takes the first one that answers, and tries no other", async () => {
    await using listener = await listening("127.0.0.3");
    using attempts = new Attempts();
    const socket = await race(["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"], listener.port);
    assert.equal(socket.remoteAddress, "127.0.0.3");
    assert.deepEqual(attempts.hosts, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    socket.destroy();
    assert.ok(attempts.sockets.every(({ destroyed }) => destroyed));
  });

  it("connectAny() throws a single error unchanged, the first of equal ones, and different ones in one text", async () => {
    const port = await freePort();
    const one = await outcomeOf(race(["127.0.0.1"], port));
    assert.ok(one instanceof asyncio.ConnectionRefusedError);
    assert.equal(one.message, `[Errno 111] Connect call failed ('127.0.0.1', ${port})`);
    assert.equal(one.code, "ECONNREFUSED");

    const equal = await outcomeOf(race(["127.0.0.1", "127.0.0.1"], port, { delay: SHORT }));
    assert.ok(equal instanceof asyncio.ConnectionRefusedError);
    assert.equal(equal.message, one.message);

    const different = await outcomeOf(race(["127.0.0.1", "127.0.0.2", "127.0.0.1"], port));
    assert.ok(different instanceof asyncio.OSError);
    assert.equal(different.name, "OSError");
    assert.equal(
      different.message,
      `Multiple exceptions: ${["127.0.0.1", "127.0.0.2", "127.0.0.1"]
        .map((address) => `[Errno 111] Connect call failed ('${address}', ${port})`)
        .join(", ")}`,
    );
    assert.deepEqual(
      (different.cause as AggregateError).errors.map(({ name }) => name),
      Array(3).fill("ConnectionRefusedError"),
    );
  });

  it("connectAny({ allErrors }) throws a group with the error of each address, also of a single one", async () => {
    const port = await freePort();
    for (const addresses of [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.1", "127.0.0.1"]]) {
      for (const delay of [null, SHORT, 0]) {
        const group = await outcomeOf(race(addresses, port, { delay, allErrors: true }));
        assert.ok(group instanceof asyncio.ExceptionGroup);
        assert.match(group.message, /^race failed \(\d sub-exceptions?\)$/);
        assert.deepEqual(
          group.exceptions.map((error) => (error as Error).message).sort(),
          addresses.map((address) => `[Errno 111] Connect call failed ('${address}', ${port})`),
        );
      }
    }
  });

  it("connectAny() with no address at all is a TimeoutError, since there is no group of no errors", async () => {
    for (const allErrors of [false, true]) {
      const error = await outcomeOf(race([], 1, { allErrors }));
      assert.ok(error instanceof asyncio.TimeoutError, String(error));
      assert.equal(error.message, "race failed");
    }
  });

  it("connectAny() takes the local address of the same family, and says where there is none", async () => {
    await using listener = await listening("127.0.0.1");
    const socket = await race(["127.0.0.1"], listener.port, { localAddresses: ["::1", "127.0.0.9"] });
    assert.equal(socket.localAddress, "127.0.0.9");
    socket.destroy();
    for (const delay of [null, SHORT]) {
      const error = await outcomeOf(race(["127.0.0.1", "::1"], listener.port, { localAddresses: ["::1"], delay }));
      assert.ok(error instanceof asyncio.OSError);
      assert.match(
        error.message,
        /^Multiple exceptions: no matching local address with family=AF_INET found, \[Errno 111\]/,
      );
    }
  });

  it("connectAny() names the local address that cannot be had", {
    skip: limitOf("bind errors of a connect"),
  }, async () => {
    await using listener = await listening("127.0.0.1");
    // Of the addresses kept for documentation: no machine has it.
    const error = await outcomeOf(race(["127.0.0.1"], listener.port, { localAddresses: ["192.0.2.1"] }));
    assert.ok(error instanceof asyncio.OSError, String(error));
    assert.equal(error.code, "EADDRNOTAVAIL");
    assert.match(
      error.message,
      /^\[Errno 99\] error while attempting to bind on address \('192\.0\.2\.1', 0\): \[errno 99\] address not available$/,
    );
  });
});

describe("Connecting to several addresses in a race", () => {
  it("connectAny({ delay }) begins the next attempt immediately when one has failed", async () => {
    await using listener = await listening("127.0.0.2");
    const socket = await race(["127.0.0.1", "127.0.0.2"], listener.port, { delay: NEVER });
    assert.equal(socket.remoteAddress, "127.0.0.2");
    socket.destroy();
  });

  it("connectAny({ delay }) begins no further attempt once one has succeeded", async () => {
    await using listener = await listening("127.0.0.1");
    using attempts = new Attempts();
    const socket = await race(["127.0.0.1", "127.0.0.2"], listener.port, { delay: 0.001 });
    await asyncio.sleep(0.01);
    assert.equal(socket.remoteAddress, "127.0.0.1");
    assert.ok(attempts.hosts.length <= 2);
    assert.deepEqual(
      attempts.sockets.map(({ destroyed }) => destroyed),
      attempts.sockets.map((each) => each !== socket),
    );
    socket.destroy();
  });

  it("connectAny({ delay: 0 }) begins with all of them, and keeps one", async () => {
    await using first = await listening("127.0.0.1");
    await using _second = await listening("127.0.0.2", first.port);
    using attempts = new Attempts();
    const socket = await race(["127.0.0.1", "127.0.0.2"], first.port, { delay: 0 });
    await turns(3);
    assert.deepEqual(
      attempts.sockets.filter(({ destroyed }) => !destroyed),
      [socket],
    );
    socket.destroy();
  });

  it("connectAny({ delay }) tries the next address while one does not answer, and gives that one up when it has lost", {
    skip: limitOf("full backlog"),
  }, async () => {
    await using listener = await listening("127.0.0.1");
    await using _silent = await silentListener("127.0.0.2", listener.port);
    using attempts = new Attempts();
    const socket = await race(["127.0.0.2", "127.0.0.1"], listener.port, { delay: SHORT });
    assert.equal(socket.remoteAddress, "127.0.0.1");
    assert.deepEqual(attempts.hosts, ["127.0.0.2", "127.0.0.1"]);
    assert.deepEqual(
      attempts.sockets.map(({ destroyed }) => destroyed),
      [true, false],
    );
    socket.destroy();
  });

  it("connectAny({ delay }) continues after the attempt that failed, not after the one that does not answer", {
    skip: limitOf("full backlog"),
  }, async () => {
    await using listener = await listening("127.0.0.1");
    await using _silent = await silentListener("127.0.0.2", listener.port);
    using attempts = new Attempts();
    const addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1", "127.0.0.5"];
    const socket = await race(addresses, listener.port, { delay: 10 * SHORT });
    assert.equal(socket.remoteAddress, "127.0.0.1");
    assert.deepEqual(attempts.hosts, addresses.slice(0, 4));
    socket.destroy();
  });

  it("connectAny() that is cancelled gives all attempts up", { skip: limitOf("full backlog") }, async () => {
    await using listener = await listening("127.0.0.1");
    await using _one = await silentListener("127.0.0.2", listener.port);
    await using _other = await silentListener("127.0.0.3", listener.port);
    using attempts = new Attempts();
    const addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.1"];
    for (const [delay, begun] of [
      [null, 1],
      [NEVER, 1],
      [0, 2],
    ] as const) {
      attempts.sockets.length = 0;
      // The third one would answer: it is left out.
      const task = asyncio.createTask(() => race(addresses.slice(0, 2), listener.port, { delay }));
      assert.ok(await eventually(() => attempts.sockets.length === begun));
      await turns(3);
      task.cancel();
      await assert.rejects(Promise.resolve(task), asyncio.CancelledError);
      assert.ok(attempts.sockets.every(({ destroyed }) => destroyed));
      assert.equal(attempts.sockets.length, begun);
    }
  });

  it("openConnection({ happyEyeballsDelay }) races the addresses of a name, of both families in turn", {
    skip: limitOf("full backlog"),
  }, async () => {
    await using listener = await listening("127.0.0.1");
    await using _silent = await silentListener("127.0.0.2", listener.port);
    using _names = resolving(["127.0.0.2", "127.0.0.1", "::1"]);
    using attempts = new Attempts();
    const [, writer] = await asyncio.openConnection("name.test", listener.port, { happyEyeballsDelay: SHORT });
    // No server listens at ::1, which comes second.
    assert.deepEqual(attempts.hosts, ["127.0.0.2", "::1", "127.0.0.1"]);
    assert.equal(writer.getExtraInfo("peername").address, "127.0.0.1");
    writer.transport.abort();
    await outcomeOf(writer.waitClosed());
  });

  it("openConnection() that is ended by a timeout leaves nothing open", { skip: limitOf("full backlog") }, async () => {
    await using listener = await listening("127.0.0.1");
    await using _silent = await silentListener("127.0.0.2", listener.port);
    using attempts = new Attempts();
    const waiting = asyncio.waitFor(() => asyncio.openConnection("127.0.0.2", listener.port), SHORT);
    await assert.rejects(waiting, asyncio.TimeoutError);
    assert.deepEqual(
      attempts.sockets.map(({ destroyed }) => destroyed),
      [true],
    );
  });
});

describe("openConnection({ interleave })", () => {
  const found = ["127.0.0.1", "127.0.0.2", "::1"];
  for (const [options, expected] of [
    [{}, found],
    [{ interleave: 0 }, found],
    [{ interleave: 1 }, ["127.0.0.1", "::1", "127.0.0.2"]],
    [{ interleave: 2 }, found],
    [{ happyEyeballsDelay: NEVER }, ["127.0.0.1", "::1", "127.0.0.2"]],
    [{ happyEyeballsDelay: NEVER, interleave: 0 }, found],
    [{ happyEyeballsDelay: NEVER, interleave: 2 }, found],
  ] as const) {
    it(`openConnection(${JSON.stringify(options)}) tries [${expected}] of [${found}]`, async () => {
      using _names = resolving(found);
      using attempts = new Attempts();
      const error = await outcomeOf(
        asyncio.openConnection("name.test", await freePort(), { ...options, allErrors: true }),
      );
      assert.ok(error instanceof asyncio.ExceptionGroup);
      assert.equal(error.exceptions.length, 3);
      assert.deepEqual(attempts.hosts, expected);
    });
  }
});
