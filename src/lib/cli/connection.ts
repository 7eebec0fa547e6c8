import { existsSync } from "node:fs";
import { StoreUnavailableError } from "../core/errors.ts";
import type { PgClient, Query } from "../postgres/drivers/driver.ts";
import { folderOf, openDatabase } from "../postgres/open.ts";
import { openQuery, Operator } from "../postgres/operator.ts";
import { connectPgSimpleLayout, type Layout, seedLayout } from "../postgres/sql/layout.ts";
import { PgStore } from "../postgres/pg-store.ts";
import { type TableName, tableName } from "../postgres/sql/table-name.ts";
import { UsageError } from "./failures.ts";

/** What a table is like, by the package that has made it. */
export const LAYOUTS = { pgstore: seedLayout, "connect-pg-simple": connectPgSimpleLayout } satisfies Record<
  string,
  Layout
>;
export type LayoutName = keyof typeof LAYOUTS;

/** The options that every command has. */
export interface CommonOptions {
  url?: string;
  table?: string;
  schema?: string;
  layout?: LayoutName;
  json?: boolean;
  debug?: boolean;
}

const MAX_CONNECT_MS = 5000;
/** For a statement that doesn't say another time. */
const MAX_QUERY_MS = 30_000;

/** A database that answers, without a table yet. */
export interface Database {
  readonly url: string;
  /** Fit for a log. */
  readonly location: string;
  readonly isServer: boolean;
  readonly client: PgClient;
  readonly query: Query;
  close(): Promise<void>;
}

/** A database with the store on it. */
export interface Connection extends Database {
  readonly store: PgStore;
  readonly operator: Operator;
  readonly table: TableName;
  readonly layout: Layout;
}

/** Any of these names a server, as it does to psql. A password, or how to use TLS, names none. */
const PG_VARIABLES = ["PGHOST", "PGPORT", "PGDATABASE", "PGUSER"];

/** Finds the URL that the options or the environment name. */
export function findUrl({ url }: CommonOptions): string | undefined {
  if (url !== undefined) return url;
  const { DATABASE_URL } = process.env;
  // A URL without anything takes everything from those variables.
  return DATABASE_URL || (PG_VARIABLES.some((name) => process.env[name]) ? "postgres://" : undefined);
}

/** @throws UsageError when neither the options nor the environment name a database */
function urlOf(options: CommonOptions): string {
  const url = findUrl(options);
  if (url) return url;
  throw new UsageError(
    "which database? Give --url, or set DATABASE_URL (postgres://user@host:5432/database, or a folder) or PGHOST and its like",
  );
}

/**
 * Opens the database with pgstore's table; nothing in it is changed.
 *
 * @param mayCreate - a folder that is not there may be made
 * @param endedGrace - as of PgStore
 * @throws StoreUnavailableError when it doesn't answer
 */
export async function connect(options: CommonOptions, mayCreate = false, endedGrace?: string): Promise<Connection> {
  const layout: Layout = LAYOUTS[options.layout ?? "pgstore"];
  const { table = layout.users ? "sessions" : "session", schema } = options;
  const names = schema === undefined ? { table } : { table, schema };
  const name = tableName(table, schema);
  const database = await openUrl(urlOf(options), name.quoted, mayCreate, layout.remedy(name));
  // Its cleanup is that of the application's processes. No request waits for it: it may be patient.
  const times = {
    cleanupInterval: 0,
    queryTimeout: MAX_QUERY_MS,
    ...(endedGrace === undefined ? {} : { endedGrace }),
  };
  const store = new PgStore(database.client, { ...names, ...times }, { layout, hasOperations: true });
  const close = async (): Promise<void> => {
    await store.close();
    await database.close();
  };
  const operator = new Operator(database.query, name, layout);
  return { ...database, store, operator, table: name, layout, close };
}

/**
 * @param table - for messages, quoted
 * @param remedy - advice for an error about a missing table
 */
export async function openUrl(
  url: string,
  table: string,
  mayCreate = false,
  remedy = "Name another.",
): Promise<Database> {
  const folder = folderOf(url);
  if (folder !== undefined && !mayCreate && !existsSync(folder)) {
    throw new StoreUnavailableError(`there is no folder ${folder}`);
  }
  const options = { max: 4, connectionTimeoutMillis: MAX_CONNECT_MS };
  const { client, location, close } = await openDatabase(url, options);
  try {
    const query = await openQuery(client, MAX_QUERY_MS, table, remedy);
    return { url, location, isServer: folder === undefined, client, query, close };
  } catch (error) {
    await close();
    throw error;
  }
}
