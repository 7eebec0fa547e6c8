import { findProblems } from "./check/schema.ts";
import type { Finding } from "./check/finding.ts";
import { loadUntil, type PgClient, type Query, textOf } from "./drivers/driver.ts";
import { toStoreError } from "./drivers/errors.ts";
import { driverOf } from "./drivers/index.ts";
import type { Layout } from "./sql/layout.ts";
import { countPresent, countRemovable, INDEX_PROGRESS, MAX_SCAN_MS, PING, SCHEMA_OBJECTS } from "./sql/operator.ts";
import type { TableName } from "./sql/table-name.ts";
import { arrayText } from "./sql/text-format.ts";

/**
 * Makes a function that runs an operator's statements, without retries.
 *
 * @param timeoutMs - the default time limit of a statement
 * @param table - for messages, quoted
 * @param remedy - advice for an error about a missing table
 * @throws StoreUnavailableError when the database doesn't answer
 */
export async function openQuery(client: PgClient, timeoutMs: number, table: string, remedy: string): Promise<Query> {
  const driver = driverOf(client);
  const query: Query = async (text, values = [], timeout = timeoutMs) => {
    try {
      return await driver.run({ text, load: loadUntil(values, performance.now() + timeout) }, timeout);
    } catch (error) {
      throw toStoreError(error, table, remedy);
    }
  };
  await query(PING);
  return query;
}

/** One of pgstore's tables, columns or indexes. */
export interface SchemaObject {
  readonly kind: "table" | "column" | "index";
  /** Quoted. */
  readonly table: string;
  /** For a table: quoted. */
  readonly name: string;
}

/** Counts and checks that only the command line needs. */
export class Operator {
  readonly #query: Query;
  readonly #table: TableName;
  readonly #layout: Layout;

  /** Creates an operator of a table. */
  constructor(query: Query, table: TableName, layout: Layout) {
    this.#query = query;
    this.#table = table;
    this.#layout = layout;
  }

  /** Finds the problems that `store.check()` lists. */
  findProblems(): Promise<Finding[]> {
    return findProblems(this.#query, this.#table, this.#layout);
  }

  /** Lists the tables that exist, with their columns and indexes. */
  async listObjects(): Promise<SchemaObject[]> {
    const { quoted, users, history } = this.#table;
    const rows = await this.#query(SCHEMA_OBJECTS, [arrayText([quoted, users, history])]);
    return rows.map((row) => ({
      kind: textOf(row, "kind") as SchemaObject["kind"],
      table: textOf(row, "table"),
      name: textOf(row, "name"),
    }));
  }

  /** Returns the progress of indexes being created, in blocks of the table. `total` is 0 when none is being created. */
  async indexProgress(): Promise<{ done: number; total: number }> {
    const [row] = await this.#query(INDEX_PROGRESS, [this.#table.quoted]);
    return { done: Number(textOf(row, "done")), total: Number(textOf(row, "total")) };
  }

  /**
   * Counts the rows that a cleanup would remove.
   *
   * @param graceMs - milliseconds for which the rows of ended sessions stay
   * @param limit - the count at which to stop
   */
  async countRemovable(graceMs: number, limit?: number): Promise<number> {
    const [row] = await this.#query(countRemovable(this.#table, this.#layout, graceMs, limit), [], MAX_SCAN_MS);
    return Number(row?.["count"]);
  }

  /** Counts the rows with one of these ids, whatever their state. */
  async countPresent(ids: readonly string[]): Promise<number> {
    if (ids.length === 0) return 0;
    const [row] = await this.#query(countPresent(this.#table), [arrayText(ids)]);
    return Number(row?.["count"]);
  }
}
