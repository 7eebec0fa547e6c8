import { OptionReader } from "../core/options.ts";
import { sha256 } from "../core/token.ts";
import type { DatabaseClient } from "../postgres/drivers/driver.ts";
import type { ConditionalStore, StoredEntry } from "../core/store.ts";
import { connectPgSimpleLayout } from "../postgres/sql/layout.ts";
import { PgStore } from "../postgres/pg-store.ts";
import { parseSession } from "./data.ts";

/** Options of `importConnectPgSimple`. */
export interface ImportOptions {
  /** Name of connect-pg-simple's table, used verbatim without quoting. Default `"session"`. */
  table?: string | undefined;
  /** Schema of that table. Default: the connection's search path. */
  schema?: string | undefined;
  /** Stops the import between two pages. The import then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called after each page with the counts so far. An error that it throws ends the import. */
  onProgress?: ((soFar: ImportResult) => void) | undefined;
}

/** Counts of the other table's live rows. */
export interface ImportResult {
  /** Rows that were written to the store. */
  imported: number;
  /** Rows that the store already had, including newer and ended ones. They stay unchanged in the store. */
  present: number;
  /** Rows that are not sessions of express-session. They were skipped. */
  unreadable: number;
}

const PAGE = 500;

/**
 * Copies the live sessions of connect-pg-simple's table to a store, where `new ExpressSessionStore({ store })` finds them by the same cookies.
 *
 * It only reads the other table. An interrupted import can be run again, because sessions already in the store stay
 * unchanged.
 *
 * @param from - the client of the database with the other table, as for `PgStore`. Never closed
 * @returns the counts of the rows
 * @throws TypeError when an option is wrong; StoreUnavailableError, StoreError or SchemaError when either database fails; the signal's
 *   reason when it aborts
 * @example
 * const store = new PgStore(pool);
 * await store.migrate();
 * const { imported } = await importConnectPgSimple(pool, store);
 */
export async function importConnectPgSimple(
  from: DatabaseClient,
  to: Pick<ConditionalStore, "create">,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const read = new OptionReader(options);
  const signal = read.value("signal") as AbortSignal | undefined;
  const onProgress = read.callback<NonNullable<ImportOptions["onProgress"]>>("onProgress");
  const place = { table: read.text("table", "session"), schema: read.text("schema", undefined) };
  read.end();
  const source = new PgStore(from, { ...place, cleanupInterval: 0 }, { layout: connectPgSimpleLayout });
  const result: ImportResult = { imported: 0, present: 0, unreadable: 0 };
  let page: StoredEntry[] = [];
  const write = async (): Promise<void> => {
    const outcomes = await Promise.all(
      page.map(async ({ id: sid, data, expiry }) => {
        if (parseSession(data, expiry) === undefined) return "unreadable";
        return (await to.create(sha256(sid), data, expiry)) ? "imported" : "present";
      }),
    );
    for (const outcome of outcomes) result[outcome]++;
    page = [];
    onProgress?.({ ...result });
    signal?.throwIfAborted();
  };
  try {
    for await (const entry of source.all({ signal })) {
      if (page.push(entry) === PAGE) await write();
    }
    if (page.length > 0) await write();
  } finally {
    await source.close();
  }
  return result;
}
