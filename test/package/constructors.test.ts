/**
 * Every exported class, constructed as a newcomer may try: either the object works, or the error names the class and
 * says what to call instead.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { entryPoints } from "../support/paths.ts";

type AnyClass = new (...given: unknown[]) => object;

/** The classes that programs construct; only the library constructs the others. */
const forPrograms = new Set([
  ...["Barrier", "BaseProtocol", "BoundedSemaphore", "BufferedProtocol", "Condition", "Context", "ContextVar"],
  ...["ContextVarsContextManager", "Event", "Future", "LifoQueue", "Lock", "MockClock", "PriorityQueue", "Protocol"],
  ...["Queue", "Runner", "Semaphore", "Sequencer", "StreamReader", "StreamReaderProtocol", "StreamWriter", "TaskGroup"],
  // Of the library, but whole whoever constructs them.
  ...["ServerSocket", "Timeout"],
]);

const odd: readonly unknown[][] = [
  ...[[], [undefined], [null], [5], ["x"], [{}], [[]], [() => {}], [Promise.resolve()], [process.stdout]],
  ...[["message", new Error("x")], [[new Error("x")]], [() => {}, "name"]],
];

/** What V8 says itself of a value that nobody has checked. */
const unchecked =
  /Cannot read|Cannot convert|Cannot use|is not a function|is not iterable|is not an object|undefined \(/;

for (const { specifier } of entryPoints) {
  const exported = Object.entries((await import(specifier)) as object);
  const classes = exported.filter(
    (entry): entry is [string, AnyClass] =>
      typeof entry[1] === "function" && /^class\b/.test(Function.prototype.toString.call(entry[1])),
  );
  describe(`The classes of ${specifier}`, () => {
    for (const [name, Exported] of classes) {
      const isError = Exported.prototype instanceof Error;
      for (const given of odd) {
        it(`new ${name}(${given.map((each) => inspect(each, { depth: 0 })).join(", ")}) works or says what to do`, () => {
          let made: object;
          try {
            made = new Exported(...given);
          } catch (error) {
            assert.ok(error instanceof Error);
            assert.doesNotMatch(error.message, unchecked);
            assert.match(error.message, new RegExp(`\\b${name}|context variable name|Tokens can only`), error.message);
            return;
          }
          assert.ok(forPrograms.has(name) || isError, `${inspect(made, { depth: 0 })} was made`);
          assert.notEqual(inspect(made), "");
        });
      }
    }
  });
}
