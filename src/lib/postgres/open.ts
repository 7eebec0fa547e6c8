import type pg from "pg";
import { StoreUnavailableError } from "../core/errors.ts";
import { wrong } from "../core/options.ts";
import type { PgClient } from "./drivers/driver.ts";
import { lockFolder } from "./folder-lock.ts";
import type { OwnDatabase, PgStoreOptions } from "./options.ts";
import { PgStore } from "./pg-store.ts";

/** PGlite's folder in the working directory. */
const FOLDER = "pgstore-data";

/**
 * Opens a database, creates missing tables and returns the store.
 *
 * `store.location` names the database, without its password. `store.close()` closes it.
 *
 * @param url - `postgres://…` (needs the package pg), or a folder, also as `file:folder`, for PGlite (needs the package
 *   `@electric-sql/pglite`, allows one process at a time). Default: the environment variable DATABASE_URL, else the folder
 *   `pgstore-data` in the working directory
 * @throws TypeError when the URL or an option is wrong
 * @throws StoreUnavailableError when the database can't be reached or its package is missing
 * @throws SchemaError when a table of that name has other columns
 * @example
 * const store = await openStore("postgres://app@localhost/app");
 * const manager = new SessionManager(store);
 */
export async function openStore(url?: string, options: PgStoreOptions = {}): Promise<PgStore> {
  const target = url ?? (process.env["DATABASE_URL"] || FOLDER);
  if (typeof target !== "string" || target === "") throw wrong("url", "a non-empty string", target);
  const own = await openDatabase(target);
  let store: PgStore | undefined;
  try {
    store = new PgStore(own.client, options, { own });
    await store.migrate();
    return store;
  } catch (error) {
    await (store ?? own).close();
    throw error;
  }
}

/** An opened database and its client. */
export interface OpenDatabase extends OwnDatabase {
  client: PgClient;
}

/** Milliseconds to connect. Without a limit, a connection that hangs would occupy its place in the pool for ever. */
const CONNECTION_TIMEOUT_MS = 5000;

const EXPECTED = "url: expected postgres://user@host:5432/database or a folder such as ./pgstore-data";

/**
 * Returns the PGlite folder that a URL names, or undefined when it names a server. Anything ambiguous is refused: it would
 * otherwise become a folder with a password in its name.
 *
 * @throws TypeError when the URL names neither. The message shows no part of it
 */
export function folderOf(url: string): string | undefined {
  if (/^postgres(?:ql)?:\/\//i.test(url)) return undefined;
  const folder = url.replace(/^file:(?:\/\/(?=\/))?/i, "");
  if (/\b(?:host|hostaddr|port|user|password|passfile|dbname|service|sslmode)\s*=/i.test(folder)) {
    throw new TypeError(`${EXPECTED}, got a libpq connection string (host=… dbname=…): write it as a URL`);
  }
  if (/^(?!file:)[a-z][a-z\d+.-]+:\/\//i.test(url)) throw new TypeError(`${EXPECTED}, got a URL of another scheme`);
  // A server without a scheme: user@host, host:port, //host, or host/database with a host that looks like one.
  const isPath = /^(?:\.{0,2}\/(?!\/)|\.{1,2}$|~\/|\.{0,2}\\|[a-z]:[\\/])/i.test(folder);
  const isServer = /[@:?#=]|^\/\/|^localhost(?:\/|$)|^[^/\\]+\.[^/\\]+[/\\]|^\d+(?:\.\d+){3}(?:\/|$)/i;
  if (isPath ? /:[^/\\]*@/.test(folder) : isServer.test(folder)) {
    throw new TypeError(`${EXPECTED}, got what looks like a server without postgres://. Begin a folder with ./`);
  }
  return folder;
}

/**
 * Opens the database that a URL names. Makes no connection to a server yet.
 *
 * @param url - `postgres://…`, a folder or `file:folder`
 * @param max - the maximum number of connections to a server. Default: the driver's
 * @throws StoreUnavailableError when the driver is missing or the folder can't be opened
 * @throws TypeError when the URL names neither a server nor a folder
 */
export async function openDatabase(url: string, max?: number): Promise<OpenDatabase> {
  const folder = folderOf(url);
  return folder === undefined ? openServer(url, max) : openFolder(folder);
}

async function openServer(url: string, max: number | undefined): Promise<OpenDatabase> {
  const { default: pg } = await import("pg").catch(missing("pg"));
  const location = locationOf(url, pg.Client);
  const pool = new pg.Pool({ connectionTimeoutMillis: CONNECTION_TIMEOUT_MS, max, connectionString: url });
  // An idle connection was lost. The next statement fails with the reason.
  pool.on("error", () => {});
  return { client: pool, location, close: () => pool.end() };
}

/**
 * Describes the server of a URL without its password. Missing parts come from PGHOST, PGPORT and PGDATABASE.
 *
 * @throws TypeError when the URL can't be parsed. The message shows no part of it
 */
function locationOf(url: string, Client: typeof pg.Client): string {
  // new URL() would throw an error that contains the URL and its password.
  if (!URL.canParse(url)) throw new TypeError(`${EXPECTED}, got a URL that can't be read: percent-encode the password`);
  const { hostname, pathname, search, hash } = new URL(url);
  // An unescaped / ? or # in a password ends the host, and the rest of the password would be read as the database.
  if (hash !== "" || pathname.includes("@") || /^\?[^=]*@/.test(search)) {
    throw new TypeError(
      `${EXPECTED}, got one with an @ or # behind the host: write / ? # @ of a password as %2F %3F %23 %40`,
    );
  }
  const { host, port, database } = new Client({ connectionString: url });
  return `PostgreSQL ${hostname.includes(":") ? hostname : host}:${port}/${database ?? ""}`;
}

async function openFolder(folder: string): Promise<OpenDatabase> {
  const { PGlite } = await import("@electric-sql/pglite").catch(missing("@electric-sql/pglite"));
  const unlock = await lockFolder(folder);
  try {
    const db = await PGlite.create(folder);
    const close = async (): Promise<void> => {
      await db.close();
      await unlock();
    };
    return { client: db, location: `PGlite in the folder ${folder}`, close };
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
