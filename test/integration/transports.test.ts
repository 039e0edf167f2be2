/** Transports: what is written and read, the marks, and every way in which a connection ends. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import type * as net from "node:net";
import * as stream from "node:stream";
import { describe, it } from "node:test";
import * as asyncio from "contextvars/asyncio";
import { eventually, outcomeOf, Peer, Reports, turns } from "../support/peers.ts";
import { duplexPair, type Medium, media, Recorder, type Wired, wire } from "../support/protocols.ts";

const MEGABYTE = Buffer.alloc(1024 * 1024, "m");

describe("Transport's order of calls", () => {
  for (const medium of media) {
    it(`Protocol of a ${medium} gets the connection, the data, the EOF and the end, in this order`, async () => {
      await using wired = await wire(medium, () => new Recorder());
      const { protocol, peer } = wired;
      peer.write("one ");
      peer.write("two");
      peer.socket.end();
      assert.ok(await eventually(() => protocol.isLost));
      assert.deepEqual(protocol.calls, ["connectionMade", "dataReceived", "eofReceived", "connectionLost"]);
      assert.equal(protocol.text, "one two");
      assert.deepEqual(protocol.losses, [null]);
    });

    it(`Protocol of a ${medium} that keeps the connection open at EOF can still write`, async () => {
      await using wired = await wire(medium, () => new Recorder());
      const { protocol, transport, peer } = wired;
      protocol.staysOpen = true;
      peer.socket.end();
      assert.ok(await eventually(() => protocol.calls.includes("eofReceived")));
      await turns(3);
      assert.equal(protocol.isLost, false);
      transport.write("still here");
      assert.equal(await peer.received(10), "still here");
      transport.close();
      assert.ok(await eventually(() => protocol.isLost));
      assert.deepEqual(protocol.losses, [null]);
    });
  }
});

/** A way in which a connection ends. */
interface Ending {
  readonly how: string;
  readonly end: (wired: Wired<Recorder>) => void | Promise<void>;
  /** The class of what connectionLost() gets; `null` where it gets that. */
  readonly exception: string | null;
  /** What has no such end. */
  readonly except?: readonly Medium[];
}

const noReset: readonly Medium[] = ["Unix client", "Unix server", "Duplex"];

const endings: readonly Ending[] = [
  { how: "close()", end: ({ transport }) => transport.close(), exception: null },
  { how: "abort()", end: ({ transport }) => transport.abort(), exception: null },
  {
    how: "close() twice",
    end({ transport }) {
      transport.close();
      transport.close();
    },
    exception: null,
  },
  {
    how: "close(), then abort(), with much unsent",
    end({ transport }) {
      transport.write(Buffer.alloc(8 * MEGABYTE.length));
      transport.close();
      transport.abort();
      transport.abort();
    },
    exception: null,
  },
  {
    how: "writeEof(), then close()",
    end({ transport }) {
      transport.writeEof();
      transport.close();
    },
    exception: null,
  },
  { how: "the peer's EOF", end: ({ peer }) => void peer.socket.end(), exception: null },
  {
    how: "EOF of both sides, ours first",
    async end({ transport, peer }) {
      transport.writeEof();
      await peer.untilEnded();
      peer.socket.end();
    },
    exception: null,
  },
  {
    how: "close() while the peer's EOF comes in",
    end({ transport, peer }) {
      peer.socket.end();
      transport.close();
    },
    exception: null,
  },
  {
    how: "a reset by the peer",
    end: ({ peer }) => void peer.socket.resetAndDestroy(),
    exception: "ConnectionResetError",
    except: noReset,
  },
  {
    how: "a reset while reading is paused",
    async end({ transport, peer }) {
      transport.pauseReading();
      peer.write("unread");
      peer.socket.resetAndDestroy();
      // A paused socket hears of the reset only when it writes.
      while (!transport.isClosing()) {
        transport.write("x");
        await turns(1);
      }
    },
    exception: "ConnectionResetError|BrokenPipeError",
    except: noReset,
  },
  {
    how: "an error of the stream",
    end: ({ transport }) => {
      (transport.getExtraInfo("socket") as stream.Duplex).destroy(new RangeError("of the stream"));
    },
    exception: "RangeError",
  },
  {
    how: "the end of the stream under it",
    end: ({ transport }) => {
      (transport.getExtraInfo("socket") as stream.Duplex).destroy();
    },
    exception: null,
  },
];

describe("Transport's end", () => {
  for (const { how, end, exception, except = [] } of endings) {
    for (const medium of media.filter((each) => !except.includes(each))) {
      it(`Protocol.connectionLost() of a ${medium} is called once, last, after ${how}`, async () => {
        using reports = new Reports();
        await using wired = await wire(medium, () => new Recorder());
        const { protocol, transport, peer } = wired;
        peer.write("x");
        assert.ok(await eventually(() => protocol.text === "x"));
        await end(wired);
        assert.ok(await eventually(() => protocol.isLost));
        // Whatever is done afterwards.
        transport.close();
        transport.abort();
        transport.resumeReading();
        transport.pauseReading();
        transport.writeEof();
        await turns(5);
        assert.equal(protocol.losses.length, 1);
        assert.equal(protocol.calls.at(-1), "connectionLost");
        const [lost] = protocol.losses;
        if (exception === null) {
          assert.equal(lost, null);
        } else {
          assert.match((lost as Error).name, new RegExp(`^(?:${exception})$`));
        }
        assert.ok(transport.isClosing());
        assert.equal(transport.isReading(), false);
        assert.equal(transport.getWriteBufferSize(), 0);
        assert.deepEqual(reports.messages, []);
      });
    }
  }

  it("Protocol.connectionLost() never comes inside of close() or abort()", async () => {
    for (const end of ["close", "abort"] as const) {
      await using wired = await wire("TCP client", () => new Recorder());
      wired.transport[end]();
      assert.equal(wired.protocol.isLost, false);
      assert.ok(await eventually(() => wired.protocol.isLost));
    }
  });

  it("Transport that is closed or aborted in connectionMade() calls nothing but connectionLost() afterwards", async () => {
    for (const end of ["close", "abort"] as const) {
      class Closing extends Recorder {
        override connectionMade(transport: asyncio.Transport): void {
          super.connectionMade(transport);
          transport.write("bye");
          transport[end]();
        }
      }
      await using wired = await wire("TCP server", () => new Closing());
      await wired.peer.untilEnded();
      wired.peer.write("too late");
      assert.ok(await eventually(() => wired.protocol.isLost));
      assert.deepEqual(wired.protocol.calls, ["connectionMade", "connectionLost"]);
      assert.equal(wired.peer.text, end === "close" ? "bye" : "");
    }
  });

  it("Transport that is closed in dataReceived() receives no more", async () => {
    class Once extends Recorder {
      override dataReceived(data: Buffer): void {
        super.dataReceived(data);
        this.transport.close();
      }
    }
    await using wired = await wire("TCP server", () => new Once());
    wired.peer.write("first");
    assert.ok(await eventually(() => wired.protocol.isLost));
    wired.peer.write("second");
    await turns(3);
    assert.equal(wired.protocol.text, "first");
  });

  for (const medium of media) {
    it(`Transport.close() of a ${medium} sends everything first; abort() does not`, async () => {
      {
        await using wired = await wire(medium, () => new Recorder());
        for (let i = 0; i < 5; i++) {
          wired.transport.write(MEGABYTE);
        }
        wired.transport.close();
        await wired.peer.untilEnded();
        assert.equal(wired.peer.length, 5 * MEGABYTE.length);
        assert.deepEqual(wired.protocol.losses, [null]);
      }
      {
        await using wired = await wire(medium, () => new Recorder(), { reads: false });
        wired.transport.write(Buffer.alloc(16 * MEGABYTE.length));
        await turns(2);
        assert.ok(wired.transport.getWriteBufferSize() > 0);
        wired.transport.abort();
        assert.ok(await eventually(() => wired.protocol.isLost));
        wired.peer.read();
        await turns(3);
        assert.ok(wired.peer.length < 16 * MEGABYTE.length);
      }
    });
  }
});

describe("Transport's write buffer", () => {
  it("Transport.write() of nothing is nothing", async () => {
    await using wired = await wire("TCP client", () => new Recorder());
    wired.transport.setWriteBufferLimits({ high: 0 });
    wired.transport.write("");
    wired.transport.write(new Uint8Array());
    wired.transport.writelines([]);
    wired.transport.writelines([""]);
    assert.equal(wired.transport.getWriteBufferSize(), 0);
    assert.deepEqual(wired.protocol.calls, ["connectionMade"]);
  });

  it("Transport.getWriteBufferSize() counts what was written in this turn, and gets down to 0", async () => {
    await using wired = await wire("TCP client", () => new Recorder());
    wired.transport.write("12345");
    wired.transport.writelines(["678", new Uint8Array([57]), "ü"]);
    assert.equal(wired.transport.getWriteBufferSize(), 11);
    assert.ok(await eventually(() => wired.transport.getWriteBufferSize() === 0));
    assert.equal(await wired.peer.received(11), "123456789ü");
  });

  const marks: readonly (readonly [asyncio.WriteBufferLimits | undefined, readonly [number, number]])[] = [
    [undefined, [16_384, 65_536]],
    [{}, [16_384, 65_536]],
    [{ high: 100 }, [25, 100]],
    [{ high: 101 }, [25, 101]],
    [{ high: 3 }, [0, 3]],
    [{ high: 0 }, [0, 0]],
    [{ low: 5 }, [5, 20]],
    [{ low: 0 }, [0, 0]],
    [{ high: 7, low: 7 }, [7, 7]],
    [{ high: 7, low: 0 }, [0, 7]],
    [{ high: 0, low: 0 }, [0, 0]],
    [{ high: Number.POSITIVE_INFINITY, low: 1 }, [1, Number.POSITIVE_INFINITY]],
  ];
  it("Transport.setWriteBufferLimits() makes up the mark that is not given", async () => {
    await using wired = await wire("TCP client", () => new Recorder());
    for (const [given, expected] of marks) {
      wired.transport.setWriteBufferLimits(given);
      assert.deepEqual(wired.transport.getWriteBufferLimits(), expected, JSON.stringify(given));
    }
  });

  const wrongMarks: readonly (readonly [asyncio.WriteBufferLimits, string])[] = [
    [{ high: 1, low: 5 }, "high (1) must be >= low (5) must be >= 0"],
    [{ low: -1 }, "high (-4) must be >= low (-1) must be >= 0"],
    [{ high: -1 }, "high (-1) must be >= low (-1) must be >= 0"],
    [{ high: 5, low: -1 }, "high (5) must be >= low (-1) must be >= 0"],
    [{ high: Number.NaN }, "high (NaN) must be >= low (NaN) must be >= 0"],
  ];
  it("Transport.setWriteBufferLimits() refuses marks that are none, and keeps those it has", async () => {
    await using wired = await wire("TCP client", () => new Recorder());
    wired.transport.setWriteBufferLimits({ high: 40 });
    for (const [given, message] of wrongMarks) {
      assert.throws(() => wired.transport.setWriteBufferLimits(given), { name: "ValueError", message });
    }
    assert.deepEqual(wired.transport.getWriteBufferLimits(), [10, 40]);
  });

  for (const medium of media) {
    it(`Transport of a ${medium} calls pauseWriting() above the high mark, and resumeWriting() at the low one`, async () => {
      await using wired = await wire(medium, () => new Recorder());
      const { protocol, transport } = wired;
      const events = (): string[] => protocol.calls.filter((each) => each.endsWith("Writing"));
      transport.setWriteBufferLimits({ high: 10, low: 4 });
      transport.write("0123456789");
      assert.deepEqual(events(), [], "at the mark");
      transport.write("0");
      assert.deepEqual(events(), ["pauseWriting"], "above it");
      transport.write("0123456789");
      assert.deepEqual(events(), ["pauseWriting"], "once");
      assert.ok(await eventually(() => events().length > 1));
      assert.deepEqual(events(), ["pauseWriting", "resumeWriting"]);
      assert.ok(transport.getWriteBufferSize() <= 4);
      assert.equal(await wired.peer.received(21), "012345678900123456789");
    });

    it(`Transport of a ${medium} with both marks at 0 pauses for every byte`, async () => {
      await using wired = await wire(medium, () => new Recorder());
      const { protocol, transport } = wired;
      transport.setWriteBufferLimits({ low: 0 });
      for (let i = 1; i <= 3; i++) {
        transport.write("x");
        assert.equal(protocol.calls.filter((each) => each === "pauseWriting").length, i);
        assert.ok(await eventually(() => protocol.calls.filter((each) => each === "resumeWriting").length === i));
        assert.equal(transport.getWriteBufferSize(), 0);
      }
    });
  }

  it("Transport.setWriteBufferLimits() pauses immediately when too much is buffered already, and never resumes by itself", async () => {
    await using wired = await wire("TCP client", () => new Recorder(), { reads: false });
    const { protocol, transport } = wired;
    transport.setWriteBufferLimits({ high: Number.POSITIVE_INFINITY });
    transport.write(Buffer.alloc(32 * MEGABYTE.length));
    await turns(3);
    assert.ok(transport.getWriteBufferSize() > 1000);
    transport.setWriteBufferLimits({ high: 1000 });
    assert.equal(protocol.calls.at(-1), "pauseWriting");
    transport.setWriteBufferLimits({ high: Number.POSITIVE_INFINITY });
    assert.equal(protocol.calls.at(-1), "pauseWriting");
    wired.peer.read();
    assert.ok(await eventually(() => protocol.calls.at(-1) === "resumeWriting"));
  });

  it("Transport that is lost while writing is paused does not resume it", async () => {
    await using wired = await wire("TCP client", () => new Recorder(), { reads: false });
    wired.transport.write(Buffer.alloc(32 * MEGABYTE.length));
    assert.equal(wired.protocol.calls.at(-1), "pauseWriting");
    wired.transport.abort();
    assert.ok(await eventually(() => wired.protocol.isLost));
    assert.deepEqual(wired.protocol.calls, ["connectionMade", "pauseWriting", "connectionLost"]);
  });

  it("Protocol that writes in resumeWriting() continues until it is done", async () => {
    class Source extends Recorder {
      left = 200;
      go(): void {
        while (this.left > 0 && this.calls.at(-1) !== "pauseWriting") {
          this.left -= 1;
          this.transport.write(Buffer.alloc(10_000, "d"));
        }
        if (this.left === 0) {
          this.transport.close();
        }
      }
      override connectionMade(transport: asyncio.Transport): void {
        super.connectionMade(transport);
        this.go();
      }
      override resumeWriting(): void {
        super.resumeWriting();
        this.go();
      }
    }
    for (const medium of media) {
      await using wired = await wire(medium, () => new Source());
      await wired.peer.untilEnded();
      assert.equal(wired.peer.length, 2_000_000);
      assert.deepEqual(wired.protocol.losses, [null]);
    }
  });
});

describe("Transport's late writes", () => {
  it("Transport.write() after close() is sent as long as something is, and dropped afterwards", async () => {
    await using wired = await wire("TCP client", () => new Recorder(), { reads: false });
    const { transport, peer, protocol } = wired;
    const whole = Buffer.alloc(16 * MEGABYTE.length, "a");
    transport.write(whole);
    transport.close();
    transport.write("late");
    peer.read();
    assert.ok(await eventually(() => protocol.isLost));
    transport.write("too late");
    await peer.untilEnded();
    assert.equal(peer.length, whole.length + 4);
    assert.ok(peer.text.endsWith("alate"));
  });

  for (const medium of media) {
    it(`Transport.write() and writelines() of a ${medium} after writeEof() are RuntimeErrors`, async () => {
      await using wired = await wire(medium, () => new Recorder());
      const { transport, peer } = wired;
      assert.equal(transport.canWriteEof(), true);
      transport.write("all");
      transport.writeEof();
      transport.writeEof();
      assert.throws(() => transport.write("more"), {
        name: "RuntimeError",
        message: "Cannot call write() after writeEof()",
        code: "ERR_WRITE_AFTER_EOF",
      });
      assert.throws(() => transport.writelines(["more"]), {
        name: "RuntimeError",
        message: "Cannot call writelines() after writeEof()",
      });
      await peer.untilEnded();
      assert.equal(peer.text, "all");
      peer.write("answer");
      assert.ok(await eventually(() => wired.protocol.text === "answer"));
      assert.equal(transport.isClosing(), false);
    });
  }

  it("Transport.write() to a lost connection is dropped, with a RuntimeWarning from the sixth time on", async () => {
    await using wired = await wire("TCP client", () => new Recorder());
    wired.transport.abort();
    assert.ok(await eventually(() => wired.protocol.isLost));
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => {
      warnings.push(warning);
    };
    process.on("warning", onWarning);
    for (let i = 0; i < 5; i++) {
      wired.transport.write("x");
    }
    await turns(2);
    assert.equal(warnings.length, 0);
    wired.transport.writelines(["x"]);
    assert.ok(await eventually(() => warnings.length > 0));
    process.off("warning", onWarning);
    assert.equal(warnings[0]?.name, "RuntimeWarning");
    assert.match(String(warnings[0]?.message), /write\(\) to a lost connection/);
  });

  it("Transport.write() refuses what is neither bytes nor text, whatever the state", async () => {
    await using wired = await wire("TCP client", () => new Recorder());
    for (const wrong of [null, undefined, 5, {}, [1], new ArrayBuffer(2)]) {
      assert.throws(() => wired.transport.write(wrong as string), TypeError);
      assert.throws(() => wired.transport.writelines([wrong as string]), TypeError);
    }
    wired.transport.abort();
    assert.throws(() => wired.transport.write(5 as unknown as string), TypeError);
  });
});

describe("Transport's reading", () => {
  for (const medium of media) {
    it(`Transport.pauseReading() of a ${medium} holds data and EOF back until resumeReading()`, async () => {
      await using wired = await wire(medium, () => new Recorder());
      const { protocol, transport, peer } = wired;
      assert.equal(transport.isReading(), true);
      transport.pauseReading();
      transport.pauseReading();
      assert.equal(transport.isReading(), false);
      peer.write("x".repeat(100_000));
      peer.socket.end();
      await turns(10);
      assert.ok(protocol.text.length < 100_000, "one chunk may be under way");
      assert.equal(protocol.calls.includes("eofReceived"), false);
      transport.resumeReading();
      transport.resumeReading();
      assert.equal(transport.isReading(), true);
      assert.ok(await eventually(() => protocol.isLost));
      assert.equal(protocol.text.length, 100_000);
    });
  }

  it("Transport.pauseReading() in connectionMade() lets nothing through", async () => {
    class Paused extends Recorder {
      override connectionMade(transport: asyncio.Transport): void {
        super.connectionMade(transport);
        transport.pauseReading();
      }
    }
    for (const medium of media) {
      await using wired = await wire(medium, () => new Paused());
      wired.peer.write("data");
      await turns(5);
      assert.equal(wired.protocol.text, "");
      wired.transport.resumeReading();
      assert.ok(await eventually(() => wired.protocol.text === "data"));
    }
  });

  it("Transport.pauseReading() and resumeReading() for every chunk lose nothing", async () => {
    class Stuttering extends Recorder {
      override dataReceived(data: Buffer): void {
        super.dataReceived(data);
        this.transport.pauseReading();
        setImmediate(() => this.transport.resumeReading());
      }
    }
    await using wired = await wire("TCP server", () => new Stuttering());
    wired.peer.write(MEGABYTE);
    wired.peer.socket.end();
    assert.ok(await eventually(() => wired.protocol.isLost));
    assert.equal(wired.protocol.text.length, MEGABYTE.length);
  });
});

describe("The socket under a Transport", () => {
  for (const medium of media) {
    it(`a listener on the socket of a ${medium} sees what the protocol sees, even while reading is paused`, async () => {
      await using wired = await wire(medium, () => new Recorder());
      const { protocol, transport, peer } = wired;
      const socket = transport.getExtraInfo("socket") as stream.Duplex;
      const seen: Buffer[] = [];
      const onData = (chunk: Buffer): void => void seen.push(chunk);
      const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString();

      peer.write("before ");
      assert.ok(await eventually(() => protocol.text === "before "));
      socket.on("data", onData);
      peer.write("with ");
      assert.ok(await eventually(() => protocol.text === "before with "));
      assert.equal(text(seen), "with ");

      transport.pauseReading();
      peer.write("paused ");
      await turns(5);
      assert.equal(protocol.text, "before with ");
      transport.resumeReading();
      peer.write("again ");
      assert.ok(await eventually(() => protocol.text === "before with paused again "));
      assert.equal(text(seen), "with paused again ");

      socket.off("data", onData);
      peer.write("alone");
      assert.ok(await eventually(() => protocol.text.endsWith("alone")));
      assert.equal(text(seen), "with paused again ");
    });

    it(`a ${medium} whose peer pauses and resumes reading again and again sends everything, in order`, async () => {
      await using wired = await wire(medium, () => new Recorder(), { reads: false });
      const { transport, peer } = wired;
      const sent = createHash("sha256");
      const received = createHash("sha256");
      let left = 0;
      peer.socket.on("data", (chunk: Buffer) => {
        received.update(chunk);
        left -= chunk.length;
      });
      peer.socket.pause();
      for (let round = 0; round < 8; round++) {
        const write = async (size: number): Promise<void> => {
          const piece = Buffer.alloc(size, `${round} ${size}`);
          sent.update(piece);
          left += size;
          transport.write(piece);
          await turns(2);
        };
        // Small ones leave at once; of large ones as many as the operating system's buffers, which grow, do not take.
        await write(10);
        await write(1000);
        do {
          await write(8 * MEGABYTE.length);
        } while (transport.getWriteBufferSize() === 0);
        await write(10);
        peer.socket.resume();
        assert.ok(await eventually(() => left === 0));
        assert.equal(transport.getWriteBufferSize(), 0);
        peer.socket.pause();
      }
      assert.equal(received.digest("hex"), sent.digest("hex"));
    });
  }
});

describe("Transport's extra information", () => {
  for (const medium of media) {
    it(`Transport.getExtraInfo() of a ${medium} answers also after the end`, async () => {
      await using wired = await wire(medium, () => new Recorder());
      const { transport, protocol } = wired;
      const names = ["peername", "sockname", "socket", "sslcontext"];
      const before = names.map((name) => transport.getExtraInfo(name));
      transport.abort();
      assert.ok(await eventually(() => protocol.isLost));
      assert.deepEqual(
        names.map((name) => transport.getExtraInfo(name)),
        before,
      );
      const [peername, sockname, socket, sslcontext] = before;
      assert.equal(sslcontext, null);
      assert.ok(socket instanceof stream.Duplex);
      if (medium.startsWith("TCP")) {
        assert.match(String(peername), /^127\.0\.0\.1:\d+$/);
        assert.match(String(sockname), /^127\.0\.0\.1:\d+$/);
      } else if (medium === "Duplex") {
        assert.deepEqual([peername, sockname], [null, null]);
      } else {
        const [ours, theirs] = medium === "Unix server" ? [sockname, peername] : [peername, sockname];
        assert.match(String(ours), /\/s$/);
        assert.equal(theirs, "");
      }
      assert.equal(transport.getExtraInfo("nothing"), null);
      assert.equal(transport.getExtraInfo("nothing", "fallback"), "fallback");
    });
  }

  it("Transport as text tells its addresses and its state", async () => {
    await using wired = await wire("TCP client", () => new Recorder(), { reads: false });
    const { transport, protocol } = wired;
    const [own, peer] = [transport.getExtraInfo("sockname"), transport.getExtraInfo("peername")];
    assert.equal(String(transport), `<SocketTransport ${own} peer=${peer}>`);
    transport.pauseReading();
    transport.write("abc");
    assert.equal(String(transport), `<SocketTransport ${own} peer=${peer} paused bufsize=3>`);
    transport.abort();
    assert.ok(await eventually(() => protocol.isLost));
    assert.equal(String(transport), `<SocketTransport ${own} peer=${peer} closed paused>`);
  });
});

describe("loop.createConnection({ sock })", () => {
  const loop = asyncio.getRunningLoop();

  it("loop.createConnection({ sock }) takes a net.Socket over, and what had come before", async () => {
    const [mine, theirs] = await asyncio.socketpair();
    theirs.write("early");
    await once(mine, "readable");
    const [transport, protocol] = await loop.createConnection(() => new Recorder(), null, null, { sock: mine });
    const peer = new Peer(theirs, true);
    assert.ok(await eventually(() => protocol.text === "early"));
    transport.write("answer");
    assert.equal(await peer.received(6), "answer");
    transport.close();
    await peer.untilEnded();
    theirs.destroy();
    assert.ok(await eventually(() => protocol.isLost));
    assert.equal(transport.getExtraInfo("socket"), mine);
  });

  const makers: Record<string, () => [stream.Duplex, stream.Duplex]> = { "made by hand": duplexPair };
  const { duplexPair: nodesOwn } = stream as { duplexPair?: () => [stream.Duplex, stream.Duplex] };
  if (nodesOwn !== undefined) {
    makers["of node:stream"] = nodesOwn;
  }
  for (const [what, make] of Object.entries(makers)) {
    it(`loop.createConnection({ sock }) joins two protocols over a pair of streams ${what}`, async () => {
      const [one, other] = make();
      const [left, leftProtocol] = await loop.createConnection(() => new Recorder(), null, null, { sock: one });
      const [right, rightProtocol] = await loop.createUnixConnection(() => new Recorder(), null, { sock: other });
      left.write("to the right");
      right.write(MEGABYTE);
      assert.ok(await eventually(() => rightProtocol.text === "to the right"));
      assert.ok(await eventually(() => leftProtocol.text.length === MEGABYTE.length));
      left.close();
      assert.ok(await eventually(() => leftProtocol.isLost && rightProtocol.calls.includes("eofReceived")));
      if (make === nodesOwn) {
        // Node's pair finishes the second EOF when the other end has read it, which is gone.
        right.abort();
      }
      assert.ok(await eventually(() => rightProtocol.isLost));
      assert.deepEqual([...leftProtocol.losses, ...rightProtocol.losses], [null, null]);
      assert.deepEqual(rightProtocol.calls.slice(-2), ["eofReceived", "connectionLost"]);
    });
  }

  it("loop.createConnection({ sock }) refuses what is no socket, and what is closed", async () => {
    const [gone, other] = await asyncio.socketpair();
    gone.destroy();
    other.destroy();
    for (const [sock, message] of [
      [gone, /^sock is already closed/],
      [{}, /^A Stream Socket was expected, got \{/],
      [7, /^A Stream Socket was expected, got 7/],
      [null, /^A Stream Socket was expected, got null/],
      [{ fd: "3" }, /^A Stream Socket was expected/],
    ] as const) {
      const error = await outcomeOf(
        loop.createConnection(() => new Recorder(), null, null, { sock: sock as unknown as net.Socket }),
      );
      assert.ok(error instanceof asyncio.ValueError, String(error));
      assert.match(error.message, message);
    }
  });
});
