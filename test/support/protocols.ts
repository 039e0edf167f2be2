/** Connections as transports and protocols: ours keeps a record of what it is called with, the other end is raw. */
import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { join } from "node:path";
import * as stream from "node:stream";
import * as asyncio from "contextvars/asyncio";
import { closed, eventually, outcomeOf, Peer, portOf } from "./peers.ts";
import { TemporaryFolder } from "./temporary-folder.ts";

const HOST = "127.0.0.1";

/** Keeps a record of what it is called with. */
export class Recorder extends asyncio.Protocol {
  /** The names of the methods that were called, in order; of dataReceived() only the first of several in a row. */
  readonly calls: string[] = [];
  readonly chunks: Buffer[] = [];
  /** What it was lost with, each time. */
  readonly losses: unknown[] = [];
  transport!: asyncio.Transport;
  /** What eofReceived() returns. */
  staysOpen = false;

  override connectionMade(transport: asyncio.Transport): void {
    this.calls.push("connectionMade");
    this.transport = transport;
  }

  override dataReceived(data: Buffer): void {
    if (this.calls.at(-1) !== "dataReceived") {
      this.calls.push("dataReceived");
    }
    this.chunks.push(data);
  }

  override eofReceived(): boolean {
    this.calls.push("eofReceived");
    return this.staysOpen;
  }

  override connectionLost(exception: unknown): void {
    this.calls.push("connectionLost");
    this.losses.push(exception);
  }

  override pauseWriting(): void {
    this.calls.push("pauseWriting");
  }

  override resumeWriting(): void {
    this.calls.push("resumeWriting");
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  get isLost(): boolean {
    return this.losses.length > 0;
  }
}

/** Over what, and which end of it is ours. */
export type Medium = "TCP client" | "TCP server" | "Unix client" | "Unix server" | "Duplex";

export const media: readonly Medium[] = ["TCP client", "TCP server", "Unix client", "Unix server", "Duplex"];

/** A connection; disposing of it ends both of its sides. */
export interface Wired<P> extends AsyncDisposable {
  readonly protocol: P;
  readonly transport: asyncio.Transport;
  readonly peer: Peer;
}

/** One end of a two-way stream in memory. */
class End extends stream.Duplex {
  other!: End;
  #onRead: (() => void) | null = null;

  override _read(): void {
    const onRead = this.#onRead;
    this.#onRead = null;
    onRead?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.other.push(chunk)) {
      done();
    } else {
      this.other.#onRead = done;
    }
  }

  override _final(done: () => void): void {
    this.other.push(null);
    done();
  }
}

/** Two streams: what is written to the one can be read from the other. Node has its own since 20.17 and 22.6. */
export function duplexPair(): [stream.Duplex, stream.Duplex] {
  const [one, other] = [new End(), new End()];
  one.other = other;
  other.other = one;
  return [one, other];
}

/** Connects a protocol with a raw socket. */
export async function wire<P extends Recorder>(
  medium: Medium,
  makeProtocol: () => P,
  { reads = true }: { readonly reads?: boolean } = {},
): Promise<Wired<P>> {
  const loop = asyncio.getRunningLoop();
  const folder = new TemporaryFolder();
  const path = join(folder.path, "s");
  const isUnix = medium.startsWith("Unix");
  let protocol: P | null = null;
  const make = (): P => {
    protocol = makeProtocol();
    return protocol;
  };
  let end: () => Promise<unknown>;
  let peerSocket: net.Socket;
  if (medium === "Duplex") {
    const [mine, theirs] = duplexPair();
    await loop.createConnection(make, null, null, { sock: mine });
    peerSocket = theirs as net.Socket;
    end = async () => {};
  } else if (medium.endsWith("client")) {
    const listener = net.createServer({ allowHalfOpen: true });
    listener.listen(isUnix ? { path } : { port: 0, host: HOST });
    await once(listener, "listening");
    const accepted = once(listener, "connection") as Promise<[net.Socket]>;
    await (isUnix ? loop.createUnixConnection(make, path) : loop.createConnection(make, HOST, portOf(listener)));
    [peerSocket] = await accepted;
    end = () => closed(listener);
  } else {
    const server = isUnix ? await loop.createUnixServer(make, path) : await loop.createServer(make, HOST, 0);
    peerSocket = net.connect({
      ...(isUnix ? { path } : { port: portOf(server), host: HOST }),
      allowHalfOpen: true,
    } as net.NetConnectOpts);
    await once(peerSocket, "connect");
    assert.ok(await eventually(() => protocol?.transport !== undefined));
    end = async () => {
      server.close();
      server.abortClients();
      await server.waitClosed();
    };
  }
  const peer = new Peer(peerSocket, reads);
  const made = protocol as P | null;
  if (made === null) {
    throw new Error("the protocol was never made");
  }
  return {
    protocol: made,
    transport: made.transport,
    peer,
    async [Symbol.asyncDispose]() {
      made.transport.abort();
      peer.socket.destroy();
      assert.ok(await eventually(() => made.isLost));
      await outcomeOf(end());
      folder[Symbol.dispose]();
    },
  };
}
