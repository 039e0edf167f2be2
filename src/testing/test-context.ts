/** testContext: runs a test and its hooks in one Context. */
import { checkFunction } from "../asyncio/seam.ts";
import { Context, RuntimeError } from "../contextvars/index.ts";
import { type AsyncioTestOptions, checkTest, runTest, type TestFunction } from "./asyncio-test.ts";

/**
 * The result of {@linkcode testContext}: each method returns a function for the test runner, which runs `f` in the
 * Context.
 */
export interface TestContext {
  /** For `beforeEach()`. After a test it begins a new Context. */
  setUp<A extends unknown[]>(f: (...given: A) => unknown): TestFunction<A>;
  /** For `it()`; like `asyncioTest(f, options)`. */
  test<A extends unknown[]>(f: (...given: A) => unknown, options?: AsyncioTestOptions): TestFunction<A>;
  /** For `afterEach()`. */
  tearDown<A extends unknown[]>(f: (...given: A) => unknown): TestFunction<A>;
}

/**
 * Creates hooks and tests that share one Context, a new one for each test: the test sees variables set in
 * `beforeEach()`, and `afterEach()` sees variables that the test sets.
 *
 * Without it, test runners call hooks and tests one after the other, and values set in one are not visible in the next.
 * The Context is empty at first. Concurrent tests cannot share a `testContext()`: create one for each.
 *
 * Python: has no such function; the rule is that of `unittest.IsolatedAsyncioTestCase`.
 *
 * @returns `setUp`, `test` and `tearDown`. The functions that they return throw a RuntimeError if another test of the
 * same `testContext()` is running, and otherwise the errors of `f`.
 *
 * @example
 * ```ts
 * import { ContextVar } from "contextvars";
 * import { testContext } from "contextvars/testing";
 * import assert from "node:assert/strict";
 * import { afterEach, beforeEach, describe, it } from "node:test";
 *
 * const user = new ContextVar<string>("user");
 *
 * describe("a service", () => {
 *   const { setUp, test, tearDown } = testContext();
 *   beforeEach(setUp(async () => void user.set("ada")));
 *   it("knows its user", test(async () => assert.equal(user.get(), "ada")));
 *   afterEach(tearDown(() => assert.equal(user.get(), "ada")));
 * });
 * ```
 */
export function testContext(): TestContext {
  const current = new CurrentTest();
  return {
    setUp(f) {
      checkFunction("setUp()", f);
      return async (...given) => {
        await current.beforeTest().run(f, ...given);
      };
    },
    test(f, options = {}) {
      checkTest("test()", f, options);
      return (...given) => current.run((context) => runTest(() => f(...given), options, context));
    },
    tearDown(f) {
      checkFunction("tearDown()", f);
      return async (...given) => {
        await current.context.run(f, ...given);
      };
    },
  };
}

/** Holds the Context of the current test. */
class CurrentTest {
  context = new Context();
  #state: "set up" | "running" | "over" = "set up";

  /** The Context of the next test. */
  beforeTest(): Context {
    this.#checkNotRunning();
    if (this.#state === "over") {
      this.context = new Context();
      this.#state = "set up";
    }
    return this.context;
  }

  async run(test: (context: Context) => Promise<void>): Promise<void> {
    const context = this.beforeTest();
    this.#state = "running";
    try {
      await test(context);
    } finally {
      this.#state = "over";
    }
  }

  #checkNotRunning(): void {
    if (this.#state === "running") {
      throw new RuntimeError(
        "testContext(): another test is in progress; create a testContext() for each concurrent test",
        {
          code: "ERR_TEST_RUNNING",
        },
      );
    }
  }
}
