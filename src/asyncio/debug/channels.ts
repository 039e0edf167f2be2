/**
 * Channels of `node:diagnostics_channel`, on which the library publishes what it does.
 *
 * No message is created without a subscriber. `NODE_DEBUG=asyncio` subscribes to all channels.
 */
import { type Channel, channel } from "node:diagnostics_channel";
import { nodeUtil } from "../on-demand.ts";
import { environment, ON_DENO } from "../runtime.ts";

/** Deno asks its user before a program may read the environment, and has read this variable itself. */
const log = ON_DENO || environment("NODE_DEBUG") !== "" ? nodeUtil().debuglog("asyncio") : null;

/** A channel on which nothing is published has no effect, so the calls are marked as pure: bundlers leave them out. */
function named(name: string): Channel {
  const made = channel(`contextvars:asyncio:${name}`);
  if (log?.enabled) {
    made.subscribe((message) => {
      const parts = Object.entries(message as object).map(([key, value]) => `${key}=${nodeUtil().inspect(value)}`);
      log("%s %s", name, parts.join(" "));
    });
  }
  return made;
}

export const taskCreated: Channel = /* @__PURE__ */ named("task:created");
export const taskStarted: Channel = /* @__PURE__ */ named("task:started");
export const taskDone: Channel = /* @__PURE__ */ named("task:done");
export const taskCancelled: Channel = /* @__PURE__ */ named("task:cancelled");
export const stepSlow: Channel = /* @__PURE__ */ named("step:slow");
export const connectionMade: Channel = /* @__PURE__ */ named("connection:made");
export const connectionLost: Channel = /* @__PURE__ */ named("connection:lost");
export const readingPaused: Channel = /* @__PURE__ */ named("reading:paused");
export const readingResumed: Channel = /* @__PURE__ */ named("reading:resumed");
export const writingPaused: Channel = /* @__PURE__ */ named("writing:paused");
export const writingResumed: Channel = /* @__PURE__ */ named("writing:resumed");
export const serverListening: Channel = /* @__PURE__ */ named("server:listening");
export const serverClosed: Channel = /* @__PURE__ */ named("server:closed");

/**
 * Publishes the message to all subscribers. Callers on hot paths check `hasSubscribers` before they create the message.
 */
export function tell(to: Channel, message: object): void {
  if (to.hasSubscribers) {
    to.publish(message);
  }
}
