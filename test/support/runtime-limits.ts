/** What a runtime cannot do, whatever this library does: by runtime and capability, with the reason. */
import { type Runtime, runtime } from "./runtime.ts";

export const capabilities = [
  "SNICallback",
  "ALPN refusal",
  "session resumption",
  "active resources",
  "full backlog",
  "bind errors of a connect",
  "codes of failed Unix connections",
] as const;

/** Something that a test needs of the runtime. */
export type Capability = (typeof capabilities)[number];

export const runtimeLimits: Readonly<Record<Runtime, Readonly<Partial<Record<Capability, string>>>>> = {
  node20: {},
  node22: {},
  node24: {},
  node26: {},
  bun: {},
  deno: {},
};

/** Why this runtime cannot do it, for the `skip` of a test; `false` where it can. */
export function limitOf(capability: Capability): string | false {
  const reason = runtimeLimits[runtime][capability];
  return reason === undefined ? false : `${runtime}: ${reason}`;
}
