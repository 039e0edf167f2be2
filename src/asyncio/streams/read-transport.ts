/** The part of a transport that a reader needs. */

/** @inline */
export interface ReadTransport {
  pauseReading(): void;
  resumeReading(): void;
  getExtraInfo?(name: string): unknown;
  /** Closes the connection, or cancels the source. */
  close?(): void;
  /** @internal Whether the bytes come from outside the process; assumed if it is not stated. */
  readonly _isOutside?: boolean;
}

/** The peer's address, for messages; empty if there is none. */
export function peerText(transport: Pick<ReadTransport, "getExtraInfo"> | null): string {
  return String((transport?.getExtraInfo?.("peername") as string | null) ?? "");
}
