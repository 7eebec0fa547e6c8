import { withTimeout } from "../drivers/deadline.ts";
import type { Driver, Errand, Row } from "../drivers/driver.ts";
import type { Statement } from "../sql/fragments.ts";
import { failureOf, sqlstateOf, toStoreError } from "../drivers/errors.ts";
import type { TableName } from "../sql/table-name.ts";

/** "cached plan must not change result type" is one of these. */
const FEATURE_NOT_SUPPORTED = "0A000";

/** Runs statements with a time limit, prepared as long as that works. */
export class Executor {
  readonly #driver: Driver;
  readonly #table: TableName;
  readonly #remedy: string;
  readonly #timeout: number;
  readonly #underWay = new Set<Promise<unknown>>();
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
   * Runs a statement once. Throws the driver's errors as they are.
   *
   * @throws StoreUnavailableError when the statement takes too long
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

  /** Turns an error of `run` into a PgStoreError that names the table. */
  explain(error: unknown): Error {
    return toStoreError(error, this.#table.quoted, this.#remedy);
  }

  async #attempt({ text, name }: Statement, load: Errand["load"], timeout: number): Promise<Row[]> {
    if (name === undefined || !this.#prepare) return this.#driver.run({ text, load }, timeout);
    try {
      return await this.#driver.run({ text, name, load }, timeout);
    } catch (error) {
      // The table's columns have changed since the statement was prepared. Nothing was carried out.
      if (sqlstateOf(error) === FEATURE_NOT_SUPPORTED) return this.#driver.run({ text, load }, timeout);
      if (failureOf(error) !== "unprepared") throw error;
      // A pooler gives each statement another connection. Nothing was carried out, and preparing will never work.
      this.#prepare = false;
      return this.#driver.run({ text, load }, timeout);
    }
  }
}
