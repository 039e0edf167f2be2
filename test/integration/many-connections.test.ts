/** Connections by the thousand: one after another, and all at once. `npm run test:peers` makes the full numbers. */
import { it } from "node:test";
import { assertCrowdIsServed, assertNothingIsLeft } from "../support/churn.ts";

it("startServer(), openConnection() leave nothing behind after 10,000 connections", () =>
  assertNothingIsLeft(10_000, 50));

it("startServer() serves others beside 2,000 idle connections, and shuts down", (t) => assertCrowdIsServed(t, 2000));
