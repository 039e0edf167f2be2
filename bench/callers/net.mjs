/** Round trips over Node's own sockets: 'data' events. */
import { connect } from "node:net";
import { connections, done, message, port } from "./report.mjs";

for (let i = 0; i < Number(connections); i++) {
  const socket = connect({ port: Number(port), host: "127.0.0.1", noDelay: true });
  let missing = message.length;
  socket.on("connect", () => socket.write(message));
  socket.on("data", (chunk) => {
    missing -= chunk.length;
    if (missing === 0) {
      missing = message.length;
      done();
      socket.write(message);
    }
  });
}
