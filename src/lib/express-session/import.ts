import { sha256 } from "../core/token.ts";
import type { PgClient, PostgresSql } from "../postgres/drivers/driver.ts";
import type { ConditionalStore, StoredEntry } from "../core/store.ts";
import { connectPgSimpleLayout } from "../postgres/sql/layout.ts";
import { PgStore } from "../postgres/pg-store.ts";
import { parseSession } from "./data.ts";

/** Options of `importConnectPgSimple`. */
export interface ImportOptions {
  /** The table of the package connect-pg-simple, by name as it is, not quoted. Default `"session"`. */
  table?: string | undefined;
  /** Its schema. Default: the connection's search path decides. */
  schema?: string | undefined;
  /** Stops between two pages when it aborts; the import then rejects with its reason. */
  signal?: AbortSignal | undefined;
  /** Called after each page. What it throws ends the import. */
  onProgress?: ((soFar: ImportResult) => void) | undefined;
}

/** What has become of the live rows of the other table. */
export interface ImportResult {
  /** Written to the store. */
  imported: number;
  /** In the store already, from an earlier import or newer; or ended there. Left as they are. */
  present: number;
  /** No sessions of express-session. Left out. */
  unreadable: number;
}

const PAGE = 500;

/**
 * Copies the live sessions of connect-pg-simple's table to a store, where `new ExpressSessionStore({ store })` finds them
 * under the same ids. The other table is only read. It can be stopped, and made again: what is in the store stays as it is.
 *
 * @param from - the database with the other table: what `PgStore` takes
 * @throws as `PgStore` and the store do
 */
export async function importConnectPgSimple(
  from: PgClient | PostgresSql,
  to: Pick<ConditionalStore, "create">,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const { signal, onProgress, table = "session", schema } = options;
  const names = schema === undefined ? { table } : { table, schema };
  const source = new PgStore(from, { ...names, cleanupInterval: 0 }, { layout: connectPgSimpleLayout });
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
    for await (const entry of source.all(signal === undefined ? {} : { signal })) {
      if (page.push(entry) === PAGE) await write();
    }
    if (page.length > 0) await write();
  } finally {
    await source.close();
  }
  return result;
}
