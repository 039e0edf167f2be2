/** Loopback servers and clients in a few words, for tests of what their callbacks see. */
import { once } from "node:events";
import * as http from "node:http";
import * as net from "node:net";

/** A server that listens on a free port; disposing of it closes it with all its connections. */
export interface Listening extends AsyncDisposable {
  readonly port: number;
}

/** Starts the server on a free loopback port. `listen()` is called immediately, in the caller's Context. */
export function listen(server: net.Server): Promise<Listening> {
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      resolve({
        port: (server.address() as net.AddressInfo).port,
        async [Symbol.asyncDispose]() {
          const closed = once(server, "close");
          server.close();
          for (const socket of sockets) {
            socket.destroy();
          }
          (server as Partial<http.Server>).closeAllConnections?.();
          await closed;
        },
      });
    });
  });
}

/** Opens a connection. */
export async function connectSocket(port: number): Promise<net.Socket> {
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Sends one request on its own connection, and returns the body of the response. */
export function request(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    http
      .get({ port, path, host: "127.0.0.1", agent: false }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => {
          body += chunk;
        });
        response.on("end", () => resolve(body));
      })
      .on("error", reject);
  });
}

/** One request as it goes over the wire; the connection stays open. */
export function requestText(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
}

/** Reads from the socket until the text contains the word this many times. */
export function readUntil(socket: net.Socket, word: string, times: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const onData = (chunk: Buffer): void => {
      text += chunk;
      if (text.split(word).length > times) {
        socket.off("data", onData);
        socket.off("close", onClose);
        resolve(text);
      }
    };
    const onClose = (): void => reject(new Error(`closed after ${JSON.stringify(text)}`));
    socket.on("data", onData);
    socket.on("close", onClose);
  });
}
