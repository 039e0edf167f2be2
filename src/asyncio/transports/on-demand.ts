/** Modules of Node that many programs never need. They are loaded by the first call: that halves the time of an import. */
export const nodeTls = (): typeof import("node:tls") => process.getBuiltinModule("node:tls");
export const nodeDns = (): typeof import("node:dns") => process.getBuiltinModule("node:dns");
