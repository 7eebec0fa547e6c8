import { pause } from "../core/time.ts";
import { PgStoreError, SchemaError, StoreError } from "../core/errors.ts";
import { checkSchema, sentenceOf } from "./check/schema.ts";
import type { Query } from "./drivers/driver.ts";
import { scsLayout } from "./sql/layout.ts";
import { migrationSql } from "./sql/migration.ts";
import { sqlstateOf } from "./drivers/errors.ts";
import type { TableName } from "./sql/table-name.ts";

/** An index on a large table takes long. */
const MAX_STATEMENT_MS = 10 * 60_000;
/** Pause between two looks at an index that another process creates. */
const RETRY_PAUSE_MS = 500;

const OBJECT_IN_USE = "55006";
const INVALID_TRANSACTION_TERMINATION = "2D000";

/**
 * Creates missing tables, columns and indexes.
 *
 * @throws SchemaError when a table of that name is not pgstore's
 * @throws StoreError inside a transaction that keeps its snapshot
 */
export async function migrate(query: Query, table: TableName): Promise<void> {
  for (const statement of migrationSql(table)) await run(query, statement);
  const { problems } = await checkSchema(query, table, scsLayout, "table");
  if (problems.length > 0) throw new SchemaError(table.quoted, problems.map(sentenceOf).join("; "));
}

/** Runs a statement, again while another process creates the same index. */
async function run(query: Query, statement: string): Promise<void> {
  const end = performance.now() + MAX_STATEMENT_MS;
  for (;;) {
    try {
      await query(statement, [], MAX_STATEMENT_MS);
      return;
    } catch (error) {
      const cause = error instanceof PgStoreError ? error.cause : undefined;
      const sqlstate = sqlstateOf(cause);
      if (sqlstate === INVALID_TRANSACTION_TERMINATION) {
        const message =
          "migrate: expected READ COMMITTED, got another isolation level. Call it outside of a transaction";
        throw new StoreError(message, { cause });
      }
      if (sqlstate !== OBJECT_IN_USE || performance.now() + RETRY_PAUSE_MS > end) throw error;
    }
    await pause(RETRY_PAUSE_MS);
  }
}
