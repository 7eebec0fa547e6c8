import { describe, expect, it, onTestFinished, vi } from "vitest";
import { atMost, repeat } from "../../src/lib/core/time.ts";

describe("atMost", () => {
  it("throws the error of work that fails in time, and leaves a later failure unreported", async () => {
    const reported = vi.fn();
    process.on("unhandledRejection", reported);
    onTestFinished(() => void process.off("unhandledRejection", reported));
    await expect(atMost(Promise.reject(new Error("in time")), 1000)).rejects.toThrow("in time");
    let fail: (error: Error) => void = () => {};
    await atMost(new Promise((_, reject) => (fail = reject)), 0);
    fail(new Error("too late"));
    // Node reports a rejection after the microtasks, so before the next turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    expect(reported).not.toHaveBeenCalled();
  });
});

describe("repeat", () => {
  it("waits longer than 2^31 milliseconds when it is told to", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    let runs = 0;
    const stop = repeat(
      2 ** 31 + 1000,
      async () => void runs++,
      () => 0.5,
    );
    await vi.advanceTimersByTimeAsync(2 ** 31 + 999);
    expect(runs).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(runs).toBe(1);
    stop();
    stop();
    await vi.advanceTimersByTimeAsync(2 ** 32);
    expect(runs).toBe(1);
  });

  it("never overlaps, and goes on after a failure", async () => {
    let running = 0;
    let runs = 0;
    const stop = repeat(1, async () => {
      expect(++running).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
      runs++;
      throw new Error("expected by the test");
    });
    await expect.poll(() => runs).toBeGreaterThan(2);
    stop();
  });
});
