/** The full numbers; `npm test` makes a fraction of them. */
import { it } from "node:test";
import { assertCrowdIsServed, assertNothingIsLeft } from "../../support/churn.ts";

it("startServer(), openConnection() leave nothing behind after 100,000 connections", () =>
  assertNothingIsLeft(100_000, 50));

it("startServer() serves others beside 10,000 idle connections, and shuts down", (t) => assertCrowdIsServed(t, 10_000));
