/** W3C's `baggage` header: a list of `key=value;property`, separated by commas. Pure: imports nothing. */

/** The limits that every platform has to pass on; members beyond them may be dropped on the way. */
export const MAX_MEMBERS = 64;
export const MAX_BYTES = 8192;

/** A member of the list, as written in the header. */
export interface Member {
  readonly key: string;
  /** Percent-encoded, without the properties. */
  readonly value: string;
  /** The whole member, with its properties. */
  readonly text: string;
}

/** Whether a text may be a key: a token of RFC 7230. */
export function isKey(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
}

/** Returns the members of a header in order; parts that are not `key=value` are skipped. Takes linear time. */
export function parse(header: string): Member[] {
  return header.split(",").flatMap((part) => {
    const text = part.trim();
    const equals = text.indexOf("=");
    const end = text.indexOf(";");
    if (equals <= 0 || (end !== -1 && end < equals)) {
      return [];
    }
    const key = text.slice(0, equals).trim();
    return [{ key, value: text.slice(equals + 1, end === -1 ? undefined : end).trim(), text }];
  });
}

/** The size of the members in a header, in bytes of UTF-8, including the commas. */
export function bytesOf(members: readonly Member[]): number {
  const encoder = new TextEncoder();
  return members.reduce((sum, { text }) => sum + encoder.encode(text).length, Math.max(0, members.length - 1));
}
