/**
 * A server that runs out of descriptors. Only with Node: Bun and Deno have their own ways with it, and Deno's server
 * serves no client afterwards.
 */
import assert from "node:assert/strict";
import type * as net from "node:net";
import { it } from "node:test";
import { startLimited } from "../support/external.ts";
import { Peer, rawConnection } from "../support/peers.ts";

it("startServer() survives a lack of descriptors, and serves again when some are free", async () => {
  await using limited = startLimited(80, "limited.js");
  const port = Number((await limited.printed(/Serving on 127\.0\.0\.1:(\d+)/))[1]);
  const first = new Peer(await rawConnection(port), true);
  first.write("hello\n");
  assert.equal(await first.received(6), "hello\n");

  for (let round = 1; round <= 3; round++) {
    const sockets = await Promise.all(Array.from({ length: 90 }, () => rawConnection(port).catch(() => null)));
    const peers = sockets.filter((socket): socket is net.Socket => socket !== null).map((each) => new Peer(each, true));
    // Connections accepted before descriptors ran out are served; the others are closed, or wait.
    await peers[0]?.received(0);
    const sizeBefore = first.length;
    first.write("dial\n");
    const answer = (await first.received(sizeBefore + 10)).slice(sizeBefore);
    assert.match(answer, /^(OSError E[A-Z]+|connected)$/m);
    for (const peer of peers) {
      peer.socket.destroy();
    }
    await Promise.all(peers.map((peer) => peer.untilClosed()));
    assert.ok(await servesSoon(port), `round ${round}: no client is served any more\n${limited.stderr}`);
    assert.equal(first.closed, false);
  }

  limited.end();
  assert.equal(await limited.ended(), 0, limited.stderr);
  assert.match(limited.stdout, /closed, with 0 tasks/);
});

/** Connections that the system holds for the server come and go first; the next honest one may be closed with them. */
async function servesSoon(port: number): Promise<boolean> {
  for (let tries = 0; tries < 50; tries++) {
    const peer = new Peer(await rawConnection(port), true);
    peer.write("again\n");
    const answer = await peer.received(6);
    peer.socket.destroy();
    await peer.untilClosed();
    if (answer === "again\n") {
      return true;
    }
  }
  return false;
}
