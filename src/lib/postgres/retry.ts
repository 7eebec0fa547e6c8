import { monotonicNow } from "../base/clock.ts";
import { StoreUnavailableError } from "../base/errors.ts";
import { pause } from "../base/timer.ts";
import { failureOf } from "./store-errors.ts";

/** Of a statement that its neighbours roll back. */
const MOST_ATTEMPTS = 3;
/** Milliseconds. */
const LONGEST_PAUSE = 20;

/**
 * Runs an attempt, and again where that can do no harm: after a rollback that its neighbours caused, and, if `repeatable`,
 * once after the connection was lost.
 *
 * @param left - milliseconds after which no further attempt begins
 * @param attempt - is told whether an earlier one may have been carried out
 * @throws what the last attempt threw
 */
export async function retrying<T>(
  left: number,
  repeatable: boolean,
  attempt: (inDoubt: boolean) => Promise<T>,
): Promise<T> {
  const end = monotonicNow() + left;
  let lost = 0;
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt(lost > 0);
    } catch (error) {
      const failure = error instanceof StoreUnavailableError ? "unavailable" : failureOf(error);
      if (failure === "lost") lost++;
      const again =
        failure === "rolled back" ? attempts < MOST_ATTEMPTS : failure === "lost" && repeatable && lost === 1;
      const rest = Math.random() * LONGEST_PAUSE * attempts;
      if (!again || monotonicNow() + rest > end) throw error;
      await pause(rest);
    }
  }
}
