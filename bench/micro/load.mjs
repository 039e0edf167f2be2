/** How long an import takes, in a process that has done nothing else: `load.mjs SPECIFIER`. In milliseconds. */
const [, , specifier = "contextvars"] = process.argv;
const start = performance.now();
await import(specifier);
process.stdout.write(`${JSON.stringify({ cost: performance.now() - start })}\n`);
