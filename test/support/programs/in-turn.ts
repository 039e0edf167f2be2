/**
 * Imports programs one after another, each when nothing of the one before keeps the process alive any more, and tells the
 * parent of each that has come to its end. A program that does not, or that fails, is the last.
 */
const programs = process.argv.slice(2);
let program: string | undefined;
let isImported = true;

process.on("beforeExit", () => {
  if (!isImported || process.exitCode !== undefined) {
    return;
  }
  if (program !== undefined) {
    process.send?.(program);
  }
  program = programs.shift();
  if (program !== undefined) {
    isImported = false;
    void import(program).then(() => {
      isImported = true;
    });
  }
});
