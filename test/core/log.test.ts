import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { StoreOverloadedError, StoreUnavailableError } from "../../src/index.ts";
import { failureLog } from "../../src/lib/core/log.ts";

let lines: unknown[][];
beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  vi.spyOn(console, "error").mockImplementation((...args: unknown[]) => lines.push(args));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const unavailable = (message = "expected by the test") => {
  const cause = Object.assign(new Error("invalid input: secret"), { code: "ECONNREFUSED" });
  return new StoreUnavailableError(message, { cause });
};

describe("failureLog", () => {
  it("logs an error of pgstore in one line, without what its cause may quote", () => {
    failureLog("the request failed")(unavailable());
    expect(lines).toEqual([
      ["pgstore: the request failed: StoreUnavailableError: expected by the test (ECONNREFUSED)"],
    ]);
    failureLog("it failed")(new StoreOverloadedError(5));
    expect(lines[1]).toEqual([
      "pgstore: it failed: StoreOverloadedError: 5 operations of this kind are already waiting for the database",
    ]);
  });

  it("counts those of its kind that follow, and tells every ten seconds for as long as some do", () => {
    const log = failureLog("the request failed");
    for (let n = 0; n < 500; n++) log(unavailable(`${n}`));
    log(new StoreOverloadedError(1));
    expect(lines).toHaveLength(2);
    vi.advanceTimersByTime(10_000);
    expect(lines.slice(2)).toEqual([["pgstore: the request failed: STORE_UNAVAILABLE, 499 more in 10 s"]]);
    log(unavailable());
    vi.advanceTimersByTime(10_000);
    expect(lines.slice(3)).toEqual([["pgstore: the request failed: STORE_UNAVAILABLE, 1 more in 10 s"]]);
    vi.advanceTimersByTime(10_000);
    expect(lines).toHaveLength(4);
    log(unavailable("again"));
    expect(lines[4]).toEqual(["pgstore: the request failed: StoreUnavailableError: again (ECONNREFUSED)"]);
    vi.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(5);
  });

  it("logs each error of the application's with its stack", () => {
    const log = failureLog("the request failed");
    const errors = [new TypeError("a mistake"), new TypeError("a mistake"), "text"];
    for (const error of errors) log(error);
    expect(lines).toEqual(errors.map((error) => ["pgstore: the request failed:", error]));
  });
});
