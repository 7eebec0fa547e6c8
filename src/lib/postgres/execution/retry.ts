import { monotonicNow, pause } from "../../core/time.ts";
import { PgStoreError } from "../../core/errors.ts";
import { type Failure, failureOf } from "../drivers/errors.ts";

const MAX_ATTEMPTS = 3;
/** Milliseconds: a pause is anything from half of this to all of it, so that those who failed together don't come together. */
const MAX_PAUSES_MS: Partial<Record<Failure, readonly number[]>> = {
  "rolled back": [20, 60],
  lost: [20, 200],
  standby: [20, 200],
  // A server that recovers from a crash takes some 130 ms.
  "not begun": [150, 300],
};

/**
 * How often the process may try again: a tenth of what it does, and some at once. A database that is down for all gets no
 * storm of further attempts on top.
 */
export class RetryBudget {
  readonly #most: number;
  readonly #share: number;
  #left: number;

  constructor(most = 100, share = 0.1) {
    this.#most = most;
    this.#share = share;
    this.#left = most;
  }

  /** An operation begins. */
  earn(): void {
    this.#left = Math.min(this.#most, this.#left + this.#share);
  }

  /** Says whether a further attempt may be made, and counts it. */
  spend(): boolean {
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

/** Of the whole process, as the databases of several stores are likely to be one. */
const processBudget = new RetryBudget();

/**
 * Runs an attempt, and again where that can do no harm: after what has certainly done nothing, and, if `repeatable`, after
 * the connection was lost. Three times at most.
 *
 * @param left - milliseconds after which no further attempt begins
 * @param attempt - is told whether an earlier one may have been carried out
 * @throws what the last attempt threw
 */
export async function retrying<T>(
  left: number,
  repeatable: boolean,
  attempt: (inDoubt: boolean) => Promise<T>,
  budget: RetryBudget = processBudget,
): Promise<T> {
  const end = monotonicNow() + left;
  let inDoubt = false;
  budget.earn();
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt(inDoubt);
    } catch (error) {
      const failure = error instanceof PgStoreError ? "unavailable" : failureOf(error);
      inDoubt ||= failure === "lost";
      const longest = MAX_PAUSES_MS[failure]?.[attempts - 1];
      const mayRepeat = repeatable || !inDoubt;
      if (attempts === MAX_ATTEMPTS || longest === undefined || !mayRepeat) throw error;
      const rest = longest * (0.5 + Math.random() / 2);
      if (monotonicNow() + rest > end || !budget.spend()) throw error;
      await pause(rest);
    }
  }
}
