import { StoreUnavailableError } from "../base/errors.ts";
import type { PgClient } from "../port/pg-client.ts";
import { lockFolder } from "./folder-lock.ts";
import type { OwnDatabase } from "./inside.ts";

/** A database that a URL names, opened. */
export interface OpenDatabase extends OwnDatabase {
  client: PgClient;
}

/** How a server is connected to. */
export interface ServerOptions {
  /** How many connections at most. Default: the driver's. */
  max?: number;
  /** Milliseconds for making one. Default 5 s. */
  connectionTimeoutMillis?: number;
}

/** Milliseconds: a connection that hangs while it is made would take its place for ever. */
const CONNECTION_TIME = 5000;

/** The folder for PGlite that a URL names; undefined when it names a server. @throws TypeError when it names neither */
export function folderOf(url: string): string | undefined {
  if (/^postgres(?:ql)?:/i.test(url)) return undefined;
  const folder = url.replace(/^file:(?:\/\/(?=\/))?/, "");
  // A slip such as postgre:// would make a folder, with a password in its name.
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(folder)) {
    throw new TypeError("url: must be postgres://user@host:5432/database, or a folder");
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
  const location = locationOf(url);
  const { default: pg } = await import("pg").catch(missing("pg"));
  const pool = new pg.Pool({ connectionTimeoutMillis: CONNECTION_TIME, ...options, connectionString: url });
  // The next statement fails with the reason.
  pool.on("error", () => {});
  return { client: pool, location, close: () => pool.end() };
}

function locationOf(url: string): string {
  // Not new URL(): what it throws holds the URL, and that the password.
  if (!URL.canParse(url)) throw new TypeError("url: is not a connection URL, postgres://user@host:5432/database");
  const { hostname, port, pathname } = new URL(url);
  return `PostgreSQL ${hostname}${port && `:${port}`}${pathname}`;
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
