/** What a runtime cannot do, whatever this library does: by runtime and capability, with the reason. */
import { type Runtime, runtime } from "./runtime.ts";

export const capabilities = [
  "session resumption",
  "keys that cannot be read",
  "reset under TLS",
  "reset under TLS over a Unix socket",
  "full backlog",
  "bind errors of a connect",
  "reusePort",
  "stale socket in a cluster",
  "collection beside an error",
  "stack of an error that ends a wait",
  "sockets under fake timers",
  "closing TLS over a stream",
  "end of a top-level await",
] as const;

/** Something that a test needs of the runtime. */
export type Capability = (typeof capabilities)[number];

export const runtimeLimits: Readonly<Record<Runtime, Readonly<Partial<Record<Capability, string>>>>> = {
  node20: {
    reusePort: "Node 20 accepts the option and ignores it",
    "stale socket in a cluster": "workers of a cluster no longer share a socket if one of them had to listen twice",
  },
  node22: {},
  node24: {},
  node26: {},
  bun: {
    "full backlog": "a listener uses its own backlog, however short the requested one is",
    "bind errors of a connect": "an unavailable local address is reported as a remote address that cannot be reached",
    "stack of an error that ends a wait": "the stack shows where the error was created, not which functions await it",
    "sockets under fake timers": "node:net waits for the global setImmediate before it reports that a socket is closed",
    "reset under TLS over a Unix socket": "a TLS socket reports such a reset as an EOF",
    "end of a top-level await": "a top-level await of what never comes keeps the process alive",
    "closing TLS over a stream": "bytes that a stream other than a socket has not accepted yet are lost",
  },
  deno: {
    "collection beside an error":
      "an error that is kept alive keeps the receivers of the methods on its stack alive, such as its task",
    "bind errors of a connect": "an unavailable local address is reported as EINVAL, without a system call",
    "keys that cannot be read": "keys are parsed when a client connects, not before",
    "session resumption": "a client receives no session to resume",
    "reset under TLS": "a TLS socket reports a reset as an EOF",
    "end of a top-level await":
      "a top-level await of what never comes keeps a process alive that listens to a signal, as run() does",
  },
};

/** Why this runtime cannot do it, for the `skip` of a test; `false` where it can. */
export function limitOf(capability: Capability): string | false {
  const reason = runtimeLimits[runtime][capability];
  return reason === undefined ? false : `${runtime}: ${reason}`;
}
