import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { onTestFinished } from "vitest";
import type { Events } from "../../src/lib/core/events.ts";

/** Collects the events of a channel until the test ends. */
export function eventsOf<Name extends keyof Events>(name: Name): Events[Name][] {
  const events: Events[Name][] = [];
  const listener = (event: unknown): unknown => events.push(event as Events[Name]);
  subscribe(`pgstore:${name}`, listener);
  onTestFinished(() => void unsubscribe(`pgstore:${name}`, listener));
  return events;
}
