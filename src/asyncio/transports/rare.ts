/** What few connections have: TLS, a limit of idle time, writes after the end. */
import type { IdleTimer } from "./idle-timer.ts";
import type { TlsRequest } from "./tls.ts";
import type { BaseTransport } from "./transport.ts";

/** After this many writes to a lost connection, the next one emits a warning. */
const WRITES_BEFORE_WARNING = 5;

/** What few connections have. It is apart from the transport, so that the others need no memory for it. */
export class Rare {
  /** The request by which TLS was started. */
  tls: TlsRequest | undefined;
  /** TLS is being started on the socket: nothing may be read from it or written to it meanwhile. */
  isUpgrading = false;
  /** The host that was connected to: the name that a certificate is checked against. */
  host: string | undefined;
  idle: IdleTimer | null = null;
  #writesWhenLost = 0;

  /** Emits a warning when the next of too many writes comes to the connection, which is lost. */
  countLateWrite(transport: BaseTransport): void {
    this.#writesWhenLost += 1;
    // Only once, so that a peer cannot fill the log by disconnecting.
    if (this.#writesWhenLost === WRITES_BEFORE_WARNING + 1) {
      process.emitWarning(
        `write() to a lost connection: ${transport}; await drain() to get the error`,
        "RuntimeWarning",
      );
    }
  }
}
