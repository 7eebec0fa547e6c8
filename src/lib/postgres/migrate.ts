import { monotonicNow, pause } from "../core/time.ts";
import { PgStoreError, SchemaError, StoreError } from "../core/errors.ts";
import { checkSchema, sentenceOf } from "./check/schema.ts";
import type { Query } from "./drivers/driver.ts";
import { type Layout, seedLayout } from "./sql/layout.ts";
import { migrationSql } from "./sql/migration.ts";
import { sqlstateOf } from "./drivers/errors.ts";
import type { TableName } from "./sql/table-name.ts";

/** Milliseconds: an index on a large table takes its time. */
const MIGRATION_TIME = 10 * 60_000;
/** Milliseconds until we look again whether another process has made an index. */
const PAUSE = 500;
/** object_in_use */
const BEING_MADE = "55006";
/** invalid_transaction_termination */
const IN_TRANSACTION = "2D000";

/**
 * Creates what is missing.
 *
 * @throws SchemaError when there is a table of that name that is not ours; StoreError inside of a transaction that keeps its
 * snapshot
 */
export async function migrate(query: Query, table: TableName): Promise<void> {
  for (const statement of migrationSql(table)) await run(query, statement);
  const { problems } = await checkSchema(query, table, seedLayout, "table");
  if (problems.length > 0) throw new SchemaError(table.quoted, problems.map(sentenceOf).join("; "));
}

async function run(query: Query, statement: string): Promise<void> {
  const end = monotonicNow() + MIGRATION_TIME;
  for (;;) {
    try {
      await query(statement, [], MIGRATION_TIME);
      return;
    } catch (error) {
      const cause = error instanceof PgStoreError ? error.cause : undefined;
      const sqlstate = sqlstateOf(cause);
      if (sqlstate === IN_TRANSACTION) {
        const message =
          "migrate: expected READ COMMITTED, got a transaction of another isolation. Call it outside of one";
        throw new StoreError(message, { cause });
      }
      if (sqlstate !== BEING_MADE || monotonicNow() + PAUSE > end) throw error;
    }
    await pause(PAUSE);
  }
}

/** Lists what is wrong with the tables, each in a sentence that names it and says what to do. Changes nothing. */
export async function check(query: Query, table: TableName, layout: Layout): Promise<string[]> {
  const { problems } = await checkSchema(query, table, layout);
  // Schemas are not the tables' fault: PostgreSQL 14 has an open one in every new database. The command line warns of them.
  return problems.filter(({ subject }) => subject !== "schema").map(sentenceOf);
}
