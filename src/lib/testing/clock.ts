import { type Duration, parseDuration, wrong } from "../core/options.ts";
import { systemNow } from "../core/time.ts";

/** A clock that stands still until a test moves it. */
export interface TestClock {
  /** Returns the clock's time, in milliseconds since 1970. It needs no `this`, so it can be passed as `MemoryStore`'s option `now`. */
  readonly now: () => number;
  /** Moves the clock forward by milliseconds or a text such as `"20m"`. @throws TypeError when it is not a duration */
  readonly advance: (duration: Duration) => void;
  /**
   * Sets the clock, forward or back.
   *
   * @throws TypeError unless it is a valid Date or a number of milliseconds since 1970
   */
  readonly set: (instant: Date | number) => void;
}

/**
 * Creates a clock for a `MemoryStore`, so that a test can let sessions expire without waiting. A manager goes by the time of its store.
 *
 * @param start - the first time, a Date or milliseconds since 1970. Default: the current time
 * @throws TypeError when `start` is not a valid time
 * @example
 * const clock = testClock();
 * const manager = new SessionManager(new MemoryStore({ now: clock.now }), { idleTimeout: "20m" });
 * clock.advance("21m");
 */
export function testClock(start: Date | number = systemNow()): TestClock {
  let time = instantOf("testClock", start);
  return {
    now: () => time,
    advance: (duration) => {
      time += parseDuration("advance", duration);
    },
    set: (instant) => {
      time = instantOf("set", instant);
    },
  };
}

function instantOf(operation: string, instant: Date | number): number {
  const milliseconds = instant instanceof Date ? instant.getTime() : instant;
  if (typeof milliseconds === "number" && !Number.isNaN(new Date(milliseconds).getTime())) return milliseconds;
  throw wrong(operation, "a valid Date or a number of milliseconds since 1970", instant);
}
