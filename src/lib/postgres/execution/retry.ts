import { monotonicNow, pause } from "../../core/time.ts";
import { PgStoreError } from "../../core/errors.ts";
import { type Failure, failureOf } from "../drivers/errors.ts";

const MAX_ATTEMPTS = 3;
/** Longest pauses before a retry, in milliseconds. Each is shortened by up to half at random, to spread retries. */
const MAX_PAUSES_MS: Partial<Record<Failure, readonly number[]>> = {
  "rolled back": [20, 60],
  lost: [20, 200],
  standby: [20, 200],
  // A server takes about 130 ms to recover from a crash.
  "not begun": [150, 300],
};

/**
 * Limits retries to a share of all operations, plus some at once, so that a database that is down gets no storm of retries.
 */
export class RetryBudget {
  readonly #most: number;
  readonly #share: number;
  #left: number;

  /** Creates a full budget. @param most - retries at once @param share - retries that each operation adds */
  constructor(most = 100, share = 0.1) {
    this.#most = most;
    this.#share = share;
    this.#left = most;
  }

  /** Adds the share of a new operation. */
  earn(): void {
    this.#left = Math.min(this.#most, this.#left + this.#share);
  }

  /** Takes a retry from the budget. Returns false when it is used up. */
  spend(): boolean {
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

/** One budget for the process, as several stores are likely to use one database. */
const processBudget = new RetryBudget();

/**
 * Runs an attempt up to three times: again if it certainly did nothing and, if `repeatable`, also if the connection was lost.
 * Throws the error of the last attempt.
 *
 * @param left - milliseconds after which no further attempt begins
 * @param attempt - called with whether an earlier attempt may have been carried out
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
