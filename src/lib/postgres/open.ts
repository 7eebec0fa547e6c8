import type pg from "pg";
import { StoreUnavailableError } from "../core/errors.ts";
import type { PgClient } from "./drivers/driver.ts";
import { lockFolder } from "./folder-lock.ts";
import type { OwnDatabase, PgStoreOptions } from "./options.ts";
import { PgStore } from "./pg-store.ts";

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

/** A database that a URL names, opened. */
export interface OpenDatabase extends OwnDatabase {
  client: PgClient;
}

/** How a server is connected to. */
interface ServerOptions {
  /** How many connections at most. Default: the driver's. */
  max?: number;
  /** Milliseconds for making one. Default 5 s. */
  connectionTimeoutMillis?: number;
}

/** Milliseconds: a connection that hangs while it is made would take its place for ever. */
const CONNECTION_TIMEOUT_MS = 5000;

const EXPECTED = "url: expected postgres://user@host:5432/database or a folder such as ./pgstore-data";

/**
 * Finds the folder for PGlite that a URL names; undefined when it names a server. Whatever else it could be is refused, as it
 * would otherwise become a folder with a password in its name.
 *
 * @throws TypeError when it names neither; no part of it is shown
 */
export function folderOf(url: string): string | undefined {
  if (/^postgres(?:ql)?:\/\//i.test(url)) return undefined;
  const folder = url.replace(/^file:(?:\/\/(?=\/))?/i, "");
  if (/\b(?:host|hostaddr|port|user|password|passfile|dbname|service|sslmode)\s*=/i.test(folder)) {
    throw new TypeError(`${EXPECTED}, got a libpq connection string (host=… dbname=…): write it as a URL`);
  }
  if (/^(?!file:)[a-z][a-z\d+.-]+:\/\//i.test(url)) throw new TypeError(`${EXPECTED}, got a URL of another scheme`);
  // A server's address without a scheme: user@host, host:port, //host, or host/database where the host is one by its looks.
  const isPath = /^(?:\.{0,2}\/(?!\/)|\.{1,2}$|~\/|\.{0,2}\\|[a-z]:[\\/])/i.test(folder);
  const isServer = /[@:?#=]|^\/\/|^localhost(?:\/|$)|^[^/\\]+\.[^/\\]+[/\\]|^\d+(?:\.\d+){3}(?:\/|$)/i;
  if (isPath ? /:[^/\\]*@/.test(folder) : isServer.test(folder)) {
    throw new TypeError(`${EXPECTED}, got what looks like a server without postgres://; begin a folder with ./`);
  }
  return folder;
}

/**
 * Opens the database that a URL names; a server is not connected to yet.
 *
 * @param url - as of `openStore`
 * @throws StoreUnavailableError when the driver is missing or the folder can't be opened; TypeError when it is no URL
 */
export async function openDatabase(url: string, options: ServerOptions = {}): Promise<OpenDatabase> {
  const folder = folderOf(url);
  return folder === undefined ? openServer(url, options) : openFolder(folder);
}

async function openServer(url: string, options: ServerOptions): Promise<OpenDatabase> {
  const { default: pg } = await import("pg").catch(missing("pg"));
  const location = locationOf(url, pg.Client);
  const pool = new pg.Pool({ connectionTimeoutMillis: CONNECTION_TIMEOUT_MS, ...options, connectionString: url });
  // The next statement fails with the reason.
  pool.on("error", () => {});
  return { client: pool, location, close: () => pool.end() };
}

/**
 * Says where a URL leads, fit for a log: what it leaves out comes from PGHOST, PGPORT and PGDATABASE.
 *
 * @throws TypeError when it is no URL; no part of it is shown
 */
function locationOf(url: string, Client: typeof pg.Client): string {
  // Not new URL(): what it throws holds the URL, and that the password.
  if (!URL.canParse(url))
    throw new TypeError(`${EXPECTED}, got a URL that can't be read: a password is percent-encoded`);
  const { hostname, pathname, search, hash } = new URL(url);
  // A slash, question mark or number sign in a password ends the host, and the rest of it would count as the database.
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
