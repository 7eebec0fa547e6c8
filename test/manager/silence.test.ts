import { performance } from "node:perf_hooks";
import { expect, it, vi } from "vitest";
import { MemoryStore, SessionManager } from "../../src/index.ts";
import { CHANNELS, EVENT_NAMES } from "../../src/lib/core/events.ts";
import { eventsOf } from "../support/events.ts";
import { leaveEventsAlone } from "../support/token-leaks.ts";

/** A visit that loads a session and stores a change. @returns how often it asks for the time that durations are measured by */
async function clockReads(): Promise<number> {
  const manager = new SessionManager<Record<string, unknown>>(new MemoryStore({ cleanupInterval: 0 }));
  const clock = vi.spyOn(performance, "now");
  try {
    const first = await manager.load();
    first.set("visits", 1);
    await manager.commit(first);
    const second = await manager.load(first.token);
    expect(second.get("visits")).toBe(1);
    second.set("visits", 2);
    await manager.commit(second);
    await manager.load(first.token);
    return clock.mock.calls.length;
  } finally {
    clock.mockRestore();
  }
}

it("reads no clock for a load and a commit to which nobody listens", async () => {
  leaveEventsAlone();
  expect(EVENT_NAMES.filter((name) => CHANNELS[name].hasSubscribers)).toEqual([]);
  expect(await clockReads()).toBe(0);
  const [loads, commits] = [eventsOf("load"), eventsOf("commit")];
  // Two at each end of two loads and of two commits.
  expect(await clockReads()).toBe(8);
  expect([loads.length, commits.length]).toEqual([2, 2]);
});
