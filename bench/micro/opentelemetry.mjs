/**
 * One operation of OpenTelemetry under a context manager: `opentelemetry.mjs MANAGER OPERATION`, where MANAGER is
 * `contextvars` or `standard`, OpenTelemetry's own over an AsyncLocalStorage. All inside a task.
 */
import { createRequire } from "node:module";
import * as asyncio from "contextvars/asyncio";
import { ContextVarsContextManager } from "contextvars/opentelemetry";
import { nanoseconds, report } from "./timing.mjs";

const load = createRequire(new URL("../../.cache/frameworks/package.json", import.meta.url));
const { context, createContextKey, ROOT_CONTEXT, trace } = load("@opentelemetry/api");
const { AsyncLocalStorageContextManager } = load("@opentelemetry/context-async-hooks");
const { TracerProvider } = load("@opentelemetry/sdk-trace");

const [, , name = "", operation = ""] = process.argv;
const manager = name === "contextvars" ? new ContextVarsContextManager() : new AsyncLocalStorageContextManager();
context.setGlobalContextManager(manager);
const tracer = new TracerProvider().getTracer("bench");
const other = ROOT_CONTEXT.setValue(createContextKey("key"), 1);
/** What the loops find out goes here, so that none of it is superfluous. @type {unknown} */
let sink;
const work = () => 1;
const ask = () => manager.active();

/** @type {Record<string, (count: number) => void>} */
const LOOPS = {
  active: (count) => {
    for (let i = 0; i < count; i++) {
      sink = manager.active();
    }
  },
  with: (count) => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      sum += manager.with(other, work);
    }
    sink = sum;
  },
  "with, active": (count) => {
    for (let i = 0; i < count; i++) {
      sink = manager.with(other, ask);
    }
  },
  attach: (count) => {
    for (let i = 0; i < count; i++) {
      manager.attach(other).dispose();
    }
  },
  startSpan: (count) => {
    for (let i = 0; i < count; i++) {
      tracer.startSpan("span").end();
    }
  },
  startActiveSpan: (count) => {
    for (let i = 0; i < count; i++) {
      tracer.startActiveSpan("span", (/** @type {{ end(): void }} */ span) => span.end());
    }
  },
};

const loop = LOOPS[operation];
if (loop === undefined) {
  throw new Error(`no operation ${operation}`);
}
const outer = trace.setSpan(ROOT_CONTEXT, tracer.startSpan("outer"));
await asyncio.createTask(async () => manager.with(outer, () => report(nanoseconds(loop))));

export { sink };
