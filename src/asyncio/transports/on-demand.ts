/**
 * Node modules that many programs never need, loaded by the first call: they take a fifth of the package's import time.
 */
export const nodeTls = (): typeof import("node:tls") => process.getBuiltinModule("node:tls");
export const nodeChildProcess = (): typeof import("node:child_process") =>
  process.getBuiltinModule("node:child_process");
export const nodeFs = (): typeof import("node:fs") => process.getBuiltinModule("node:fs");
export const nodeDns = (): typeof import("node:dns") => process.getBuiltinModule("node:dns");
