/** The current runtime and its abilities. */
const { node = "0", uv = "", bun, deno } = process.versions as Record<string, string | undefined>;

/** Bun and Deno implement input and output differently; code for them uses only public interfaces. */
export const ON_NODE: boolean = bun === undefined && deno === undefined;
export const ON_BUN: boolean = bun !== undefined;
export const ON_DENO: boolean = deno !== undefined;

/** Whether the runtime supports `reusePort`. Node 20 accepts the option and ignores it. */
export const HEEDS_REUSE_PORT: boolean = /* @__PURE__ */ heedsReusePort();

/** Whether a reset that arrives together with data looks like an EOF: libuv before 1.52, on Node 20 and 22. */
export const HIDES_RESETS: boolean = /* @__PURE__ */ hidesResets();

function hidesResets(): boolean {
  const [major = 0, minor = 0] = uv.split(".").map(Number);
  return ON_NODE && (major < 1 || (major === 1 && minor < 52));
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

/** The environment variable; "" if it is not set, or if Deno has no permission to read it. */
export function environment(name: string): string {
  try {
    return process.env[name] ?? "";
  } catch {
    return "";
  }
}
