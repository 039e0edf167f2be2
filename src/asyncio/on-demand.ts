/**
 * Node modules that many programs never need, loaded by the first call. An `import` of `node:fs` or `node:util` takes much
 * of the package's import time, because it reads all that they export, and that loads further modules of Node.
 */
export const nodeTls = (): typeof import("node:tls") => process.getBuiltinModule("node:tls");
export const nodeChildProcess = (): typeof import("node:child_process") =>
  process.getBuiltinModule("node:child_process");
export const nodeFs = (): typeof import("node:fs") => process.getBuiltinModule("node:fs");
export const nodeDns = (): typeof import("node:dns") => process.getBuiltinModule("node:dns");
export const nodeOs = (): typeof import("node:os") => process.getBuiltinModule("node:os");
export const nodeUtil = (): typeof import("node:util") => process.getBuiltinModule("node:util");
export const nodeWorkers = (): typeof import("node:worker_threads") => process.getBuiltinModule("node:worker_threads");
