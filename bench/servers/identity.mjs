/** The certificate of the servers that speak TLS: the one that the tests keep. */
import { readFileSync } from "node:fs";

export function identity() {
  const folder = new URL("../../test/support/certificates/", import.meta.url);
  return { key: readFileSync(new URL("server.key", folder)), cert: readFileSync(new URL("server.pem", folder)) };
}
