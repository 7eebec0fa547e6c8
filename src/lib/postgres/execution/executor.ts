import { withTimeout } from "../drivers/deadline.ts";
import type { Driver, Errand, Row } from "../drivers/driver.ts";
import type { Statement } from "../sql/fragments.ts";
import { failureOf, sqlstateOf, toStoreError } from "../drivers/errors.ts";
import type { TableName } from "../sql/table-name.ts";

/** "cached plan must not change result type" is one of these. */
const FEATURE_NOT_SUPPORTED = "0A000";

/** Runs single statements, each with a time limit, prepared as long as that works. */
export class Executor {
  readonly #driver: Driver;
  readonly #table: TableName;
  readonly #remedy: string;
  readonly #timeout: number;
  readonly #underWay = new Set<Promise<unknown>>();
  #prepare: boolean;

  /**
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
   * Runs a statement once. Most get the same time, so that the timers cost next to nothing.
   *
   * @throws what the driver throws; StoreUnavailableError when it takes too long
   */
  async run(statement: Statement, load: Errand["load"], timeout = this.#timeout): Promise<Row[]> {
    const answer = withTimeout(this.#attempt(statement, load, timeout), timeout);
    this.#underWay.add(answer);
    try {
      return await answer;
    } finally {
      this.#underWay.delete(answer);
    }
  }

  /** Resolves when no statement is under way. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  /** Turns what `run` threw into an error of ours that names the table. */
  explain(error: unknown): Error {
    return toStoreError(error, this.#table.quoted, this.#remedy);
  }

  async #attempt({ text, name }: Statement, load: Errand["load"], timeout: number): Promise<Row[]> {
    if (name === undefined || !this.#prepare) return this.#driver.run({ text, load }, timeout);
    try {
      return await this.#driver.run({ text, name, load }, timeout);
    } catch (error) {
      // The table's columns have changed since it was prepared; nothing was carried out.
      if (sqlstateOf(error) === FEATURE_NOT_SUPPORTED) return this.#driver.run({ text, load }, timeout);
      if (failureOf(error) !== "unprepared") throw error;
      // A pooler that gives each statement another connection: nothing was carried out, and it won't work later either.
      this.#prepare = false;
      return this.#driver.run({ text, load }, timeout);
    }
  }
}
