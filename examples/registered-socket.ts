/** Waits for data on a socket that is connected already: one end of a pair, the other end of which is written to. */
import * as asyncio from "contextvars/asyncio";

async function waitForData(): Promise<void> {
  // Create a pair of connected sockets
  const [rsock, wsock] = await asyncio.socketpair();

  // Register the open socket to wait for data
  const [reader, writer] = await asyncio.openConnection({ sock: rsock });

  // Simulate the reception of data from the network
  asyncio.getRunningLoop().callSoon(() => wsock.write("abc"));

  // Wait for data
  const data = await reader.read(100);

  // Got data, we are done: close the socket
  console.log("Received:", data.toString());
  writer.close();
  await writer.waitClosed();

  // Close the second socket
  wsock.destroy();
}

await asyncio.run(waitForData);
