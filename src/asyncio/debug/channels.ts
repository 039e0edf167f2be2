/**
 * Channels of `node:diagnostics_channel`, on which the library publishes what it does.
 *
 * No message is created without a subscriber. `NODE_DEBUG=asyncio` subscribes to all channels.
 */
import { type Channel, channel } from "node:diagnostics_channel";
import { debuglog, inspect } from "node:util";

const all: Channel[] = [];

function named(name: string): Channel {
  const made = channel(`contextvars:asyncio:${name}`);
  all.push(made);
  return made;
}

export const taskCreated: Channel = named("task:created");
export const taskStarted: Channel = named("task:started");
export const taskDone: Channel = named("task:done");
export const taskCancelled: Channel = named("task:cancelled");
export const stepSlow: Channel = named("step:slow");
export const connectionMade: Channel = named("connection:made");
export const connectionLost: Channel = named("connection:lost");
export const readingPaused: Channel = named("reading:paused");
export const readingResumed: Channel = named("reading:resumed");
export const writingPaused: Channel = named("writing:paused");
export const writingResumed: Channel = named("writing:resumed");
export const serverListening: Channel = named("server:listening");
export const serverClosed: Channel = named("server:closed");

/**
 * Publishes the message to all subscribers. Callers on hot paths check `hasSubscribers` before they create the message.
 */
export function tell(to: Channel, message: object): void {
  if (to.hasSubscribers) {
    to.publish(message);
  }
}

const log = debuglog("asyncio");
if (log.enabled) {
  for (const each of all) {
    each.subscribe((message, name) => {
      const parts = Object.entries(message as object).map(([key, value]) => `${key}=${inspect(value)}`);
      log("%s %s", String(name).replace("contextvars:asyncio:", ""), parts.join(" "));
    });
  }
}
