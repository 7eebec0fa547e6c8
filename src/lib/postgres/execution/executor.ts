import { PgStoreError } from "../../core/errors.ts";
import { pause } from "../../core/time.ts";
import type { Driver, Errand, Row } from "../drivers/driver.ts";
import { type Failure, failureOf, sqlstateOf, toStoreError } from "../drivers/errors.ts";
import type { Statement } from "../sql/fragments.ts";
import type { TableName } from "../sql/table-name.ts";

/** "cached plan must not change result type" is one of these. */
const FEATURE_NOT_SUPPORTED = "0A000";

/** Milliseconds for which the database's time is known without asking. Clocks drift about 50 ppm: 15 ms in that time. */
const MAX_CLOCK_AGE_MS = 5 * 60 * 1000;

/**
 * Follows the database's clock: its last known time plus the time that has passed since, by a monotonic clock. A process with a wrong clock
 * thus still knows the database's time.
 *
 * Why: docs/decisions/002-time-is-the-databases.md
 */
export class DatabaseClock {
  #offset: number | undefined;
  #observedAt = 0;

  /** Records the database's current time, in milliseconds since 1970. */
  observe(told: number): void {
    this.#observedAt = performance.now();
    this.#offset = told - this.#observedAt;
  }

  /** Returns the database's time in milliseconds since 1970. Undefined when it was not observed in the last five minutes. */
  read(): number | undefined {
    const now = performance.now();
    if (this.#offset === undefined || now - this.#observedAt > MAX_CLOCK_AGE_MS) return undefined;
    return now + this.#offset;
  }
}

/** Runs statements with a time limit, prepared as long as that works. */
export class Executor {
  readonly clock = new DatabaseClock();
  readonly #driver: Driver;
  readonly #table: TableName;
  readonly #remedy: string;
  readonly #timeout: number;
  #prepare: boolean;

  /**
   * Creates an executor for a driver.
   *
   * @param timeout - milliseconds for an operation
   * @param remedy - advice for an error about a missing table
   */
  constructor(driver: Driver, timeout: number, prepare: boolean, table: TableName, remedy: string) {
    this.#timeout = timeout;
    this.#driver = driver;
    this.#table = table;
    this.#remedy = remedy;
    this.#prepare = prepare && driver.prepares;
  }

  /**
   * Runs a statement once. Rejects with the driver's errors unchanged.
   *
   * @throws StoreUnavailableError when the statement takes too long
   */
  run(statement: Statement, load: Errand["load"], timeout = this.#timeout): Promise<Row[]> {
    if (typeof statement === "string") return this.#driver.run({ text: statement, load }, timeout);
    const { text, name } = statement;
    if (!this.#prepare) return this.#driver.run({ text, load }, timeout);
    return this.#driver.run({ text, name, load }, timeout).catch((error: unknown) => {
      // In both cases nothing was carried out. In the first, the table's columns have changed since the statement was prepared. In the other, a
      // pooler gives each statement another connection, and preparing will never work.
      if (sqlstateOf(error) !== FEATURE_NOT_SUPPORTED) {
        if (failureOf(error) !== "unprepared") throw error;
        this.#prepare = false;
      }
      return this.#driver.run({ text, load }, timeout);
    });
  }

  /** Turns an error of `run` into a PgStoreError that names the table. */
  explain(error: unknown): Error {
    return toStoreError(error, this.#table.quoted, this.#remedy);
  }
}

/** in_failed_sql_transaction */
const ABORTED = "25P02";

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
export function retrying<T>(
  left: number,
  repeatable: boolean,
  attempt: (inDoubt: boolean) => Promise<T>,
  budget: RetryBudget = processBudget,
): Promise<T> {
  const end = performance.now() + left;
  let attempts = 1;
  let inDoubt = false;
  let earlier: unknown;
  budget.earn();
  const again = async (error: unknown): Promise<T> => {
    // The earlier failure has aborted a transaction of the application, which must learn of its reason, such as 40001.
    if (attempts > 1 && sqlstateOf(error) === ABORTED) throw earlier;
    earlier = error;
    const failure = error instanceof PgStoreError ? "unavailable" : failureOf(error);
    inDoubt ||= failure === "lost";
    const longest = MAX_PAUSES_MS[failure]?.[attempts - 1];
    const mayRepeat = repeatable || !inDoubt;
    if (attempts === MAX_ATTEMPTS || longest === undefined || !mayRepeat) throw error;
    const rest = longest * (0.5 + Math.random() / 2);
    if (performance.now() + rest > end || !budget.spend()) throw error;
    await pause(rest);
    attempts++;
    return attempt(inDoubt).catch(again);
  };
  return attempt(inDoubt).catch(again);
}
