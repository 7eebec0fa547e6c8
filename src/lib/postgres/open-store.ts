import { StoreUnavailableError } from "../base/errors.ts";
import { lockFolder } from "./folder-lock.ts";
import { PgStore } from "./pg-store.ts";
import type { PgStoreOptions } from "./pg-store-options.ts";

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
  const store = /^postgres(?:ql)?:/i.test(target)
    ? await openServer(target, options)
    : await openFolder(target.replace(/^file:(?:\/\/(?=\/))?/, ""), options);
  try {
    await store.migrate();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}

async function openServer(url: string, options: PgStoreOptions): Promise<PgStore> {
  const location = locationOf(url);
  const { default: pg } = await import("pg").catch(missing("pg"));
  const pool = new pg.Pool({ connectionString: url });
  // The next statement fails with the reason.
  pool.on("error", () => {});
  return new PgStore(pool, options, { own: { location, close: () => pool.end() } });
}

function locationOf(url: string): string {
  // Not new URL(): what it throws holds the URL, and that the password.
  if (!URL.canParse(url)) throw new TypeError("url: is not a connection URL, postgres://user@host:5432/database");
  const { hostname, port, pathname } = new URL(url);
  return `PostgreSQL ${hostname}${port && `:${port}`}${pathname}`;
}

async function openFolder(folder: string, options: PgStoreOptions): Promise<PgStore> {
  const { PGlite } = await import("@electric-sql/pglite").catch(missing("@electric-sql/pglite"));
  const unlock = await lockFolder(folder);
  try {
    const db = await PGlite.create(folder);
    const close = async (): Promise<void> => {
      await db.close();
      await unlock();
    };
    return new PgStore(db, options, { own: { location: `PGlite in the folder ${folder}`, close } });
  } catch (cause) {
    await unlock();
    throw new StoreUnavailableError(`PGlite can't open the folder ${folder}`, { cause });
  }
}

function missing(name: string): (cause: unknown) => never {
  return (cause) => {
    throw new StoreUnavailableError(`the package ${name} is needed: npm install ${name}`, { cause });
  };
}
