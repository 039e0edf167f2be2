/** What a runtime cannot do, whatever this library does: by runtime and capability, with the reason. */
import { type Runtime, runtime } from "./runtime.ts";

export const capabilities = [
  "session resumption",
  "keys that cannot be read",
  "reset under TLS",
  "full backlog",
  "bind errors of a connect",
  "reusePort",
  "collection beside an error",
  "stack of an error that ends a wait",
] as const;

/** Something that a test needs of the runtime. */
export type Capability = (typeof capabilities)[number];

export const runtimeLimits: Readonly<Record<Runtime, Readonly<Partial<Record<Capability, string>>>>> = {
  node20: { reusePort: "Node 20 takes the option and does nothing about it" },
  node22: {},
  node24: {},
  node26: {},
  bun: {
    "full backlog": "a listener has a backlog of its own, however short a one is asked for",
    "bind errors of a connect": "a local address that cannot be had is an address that cannot be connected to",
    "stack of an error that ends a wait": "it is that of the place where the error was made: who awaits is not told",
  },
  deno: {
    "collection beside an error":
      "an error keeps what the methods on its stack were called on, also after its text was asked for",
    "bind errors of a connect": "a local address that cannot be had is EINVAL, of no system call",
    "keys that cannot be read": "they are looked at when a client comes, not before",
    "session resumption": "a client is given no session to resume",
    "reset under TLS": "a TLS socket, and what it runs on, take a reset for an EOF",
  },
};

/** Why this runtime cannot do it, for the `skip` of a test; `false` where it can. */
export function limitOf(capability: Capability): string | false {
  const reason = runtimeLimits[runtime][capability];
  return reason === undefined ? false : `${runtime}: ${reason}`;
}
