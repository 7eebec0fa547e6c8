import { type OpenDatabase, openDatabase } from "./open-database.ts";
import { PgStore } from "./pg-store.ts";
import type { PgStoreOptions } from "./options.ts";

/** Where PGlite keeps its files, in the working directory. */
const FOLDER = "pgstore-data";

/**
 * Opens a store in one line: for trying out, for development, for programs that use the database for nothing else.
 *
 * Creates the table if it is missing. `store.location` says where the sessions are; `store.close()` closes the database.
 *
 * @param url - `postgres://…` (needs the package pg), or a folder, or `file:` and a folder, for PGlite (needs the package
 *   `@electric-sql/pglite`; one process at a time). Default: the environment's DATABASE_URL, else the folder
 *   `pgstore-data` in the working directory.
 * @throws StoreUnavailableError when the database can't be reached; SchemaError when there is another table of that name
 */
export async function openStore(url?: string, options: PgStoreOptions = {}): Promise<PgStore> {
  const target = url ?? (process.env["DATABASE_URL"] || FOLDER);
  if (typeof target !== "string" || target === "") throw new TypeError("url: must be a non-empty string");
  const own = await openDatabase(target);
  const store = await made(own, options);
  try {
    await store.migrate();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}

/** @throws TypeError when an option is wrong; the database is closed then */
async function made(own: OpenDatabase, options: PgStoreOptions): Promise<PgStore> {
  try {
    return new PgStore(own.client, options, { own });
  } catch (error) {
    await own.close();
    throw error;
  }
}
