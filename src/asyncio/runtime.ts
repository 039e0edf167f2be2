/** What runtime this is, and what it can do. */
const { node = "0", bun, deno } = process.versions as Record<string, string | undefined>;

/** Bun and Deno read and write in ways of their own; only what is public is known of those. */
export const ON_NODE: boolean = bun === undefined && deno === undefined;
export const ON_BUN: boolean = bun !== undefined;
export const ON_DENO: boolean = deno !== undefined;

/** Whether the runtime does what `reusePort` asks for. Node 20 takes the option and does nothing about it. */
export const HEEDS_REUSE_PORT: boolean = heedsReusePort();

/** Whether a reset that comes together with data reads as an EOF: libuv before 1.52, on Node 20 and 22. */
export const HIDES_RESETS: boolean = ON_NODE && hidesResets(process.versions["uv"] ?? "");

function hidesResets(uv: string): boolean {
  const [major = 0, minor = 0] = uv.split(".").map(Number);
  return major < 1 || (major === 1 && minor < 52);
}

function heedsReusePort(): boolean {
  const [major = 0, minor = 0] = (bun ?? deno ?? node).split(".").map(Number);
  if (bun !== undefined) {
    return major > 1 || (major === 1 && minor >= 4);
  }
  if (deno !== undefined) {
    return major > 2 || (major === 2 && minor >= 9);
  }
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}
