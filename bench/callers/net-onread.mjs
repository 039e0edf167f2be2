/** Round trips over Node's own sockets with the `onread` option: one buffer for all reads. */
import { connect } from "node:net";
import { connections, done, message, port } from "./report.mjs";

for (let i = 0; i < Number(connections); i++) {
  let missing = message.length;
  const socket = connect({
    port: Number(port),
    host: "127.0.0.1",
    noDelay: true,
    onread: {
      buffer: Buffer.alloc(64 * 1024),
      callback: (count) => {
        missing -= count;
        if (missing === 0) {
          missing = message.length;
          done();
          socket.write(message);
        }
        return true;
      },
    },
  });
  socket.on("connect", () => socket.write(message));
}
