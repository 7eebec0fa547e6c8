import { type DatabaseClient, type PgClient, PgStore, type PgStoreOptions, type PostgresSql } from "../../src/index.ts";
import type { StoreHost } from "./store-contract.ts";

/** A client of a database that has the table `sessions`. */
export interface OpenClient {
  db: DatabaseClient;
  /** Where `db` has no such function. */
  query?: PgClient["query"];
  close(): Promise<void>;
}

/** Empties the table and makes a host of the store contract. */
export async function emptyHost(client: OpenClient, options: PgStoreOptions = {}): Promise<StoreHost> {
  const query: PgClient["query"] = (text, values) =>
    client.query?.(text, values) ?? (client.db as PgClient).query(text, values);
  await query("DELETE FROM sessions");
  return {
    store: new PgStore(client.db, { queryTimeout: "30s", ...options, cleanupInterval: 0 }),
    expire: async (token) => {
      const sql = "UPDATE sessions SET expiry = current_timestamp - interval '1 minute' WHERE token = $1";
      await query(sql, [token]);
    },
  };
}

/** How the tests ask postgres.js, which has no `query(text, values)`. */
export const queryOf =
  (sql: PostgresSql): PgClient["query"] =>
  async (text, values = []) => ({ rows: (await sql.unsafe(text, values as never[])) as unknown[] });
