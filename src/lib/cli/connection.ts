import { existsSync } from "node:fs";
import { SchemaError, StoreUnavailableError } from "../core/errors.ts";
import type { Finding } from "../postgres/check/finding.ts";
import { MIGRATE } from "../postgres/check/schema.ts";
import type { Duration } from "../core/options.ts";
import type { StoreOperations } from "../core/stats.ts";
import { isMissing } from "../postgres/drivers/errors.ts";
import { folderOf, openDatabase } from "../postgres/open.ts";
import { openQuery, Operator } from "../postgres/operator.ts";
import { connectPgSimpleLayout, type Layout, scsLayout } from "../postgres/sql/layout.ts";
import { PgStore } from "../postgres/pg-store.ts";
import { type TableName, tableName } from "../postgres/sql/table-name.ts";
import { TableProblemError, UsageError } from "./failures.ts";

/** Layouts of tables, by the package that created them. */
export const LAYOUTS = { pgstore: scsLayout, "connect-pg-simple": connectPgSimpleLayout };

/** Options of every command. */
export interface CommonOptions {
  url?: string;
  table?: string;
  schema?: string;
  layout?: keyof typeof LAYOUTS;
  json?: boolean;
  debug?: boolean;
}

const MAX_CONNECTIONS = 4;
/** The default for a statement. */
const MAX_QUERY_MS = 30_000;

/** An open database that has answered. */
export type Database = Awaited<ReturnType<typeof openUrl>>;

/** An open database with a store on one of its tables. */
export type Connection = Awaited<ReturnType<typeof connect>>;

/** Variables of psql that name a server. A password or a TLS mode alone does not. */
const PG_VARIABLES = ["PGHOST", "PGPORT", "PGDATABASE", "PGUSER"];

/** Finds the database's URL in the options or the environment. */
export function findUrl({ url }: CommonOptions): string | undefined {
  if (url !== undefined) return url;
  const { DATABASE_URL } = process.env;
  // An empty URL takes everything from these variables.
  return DATABASE_URL || (PG_VARIABLES.some((name) => process.env[name]) ? "postgres://" : undefined);
}

/** As `findUrl`, but requires one. @throws UsageError when neither the options nor the environment name a database */
function urlOf(options: CommonOptions): string {
  const url = findUrl(options);
  if (url) return url;
  throw new UsageError(
    "no database given. Pass --url, or set DATABASE_URL (postgres://user@host:5432/database, or a folder) or PGHOST",
  );
}

/** Options of a connection: those of every command, and two of single commands. */
interface ConnectOptions extends CommonOptions {
  /** Whether to create a PGlite folder that does not exist. */
  mayCreate?: boolean;
  /** PgStore's option `endedGrace`. */
  endedGrace?: string;
}

/**
 * Opens the database and a store on its table. Changes nothing in the database.
 *
 * @throws StoreUnavailableError when the database doesn't answer
 */
export async function connect(options: ConnectOptions) {
  const layout: Layout = LAYOUTS[options.layout ?? "pgstore"];
  const { table = layout.users ? "sessions" : "session", schema } = options;
  const name = tableName(table, schema);
  const database = await openUrl(urlOf(options), name.quoted, layout.remedy(name), options.mayCreate);
  // The application's processes clean up. No request waits here, so a query may take longer.
  const storeOptions = {
    table,
    schema,
    endedGrace: options.endedGrace as Duration | undefined,
    cleanupInterval: 0,
    queryTimeout: MAX_QUERY_MS,
  };
  const store = new PgStore(database.client, storeOptions, { own: database, layout, hasOperations: true });
  const operations = store.operations as StoreOperations;
  const operator = new Operator(database.query, name, layout);
  return { ...database, store, operations, operator, table: name, layout, close: () => store.close() };
}

/**
 * Runs the work of a command on the store, and closes it.
 *
 * @throws TableProblemError when the table is missing or lacks something, in the same words for every command
 */
export async function onStore<T>(options: ConnectOptions, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await connect(options);
  try {
    return await work(connection);
  } catch (error) {
    throw error instanceof SchemaError && !(error instanceof TableProblemError)
      ? await problemOf(connection, error)
      : error;
  } finally {
    await connection.close();
  }
}

/** Describes the problem of the table to people at a shell. */
async function problemOf({ operator, table, layout }: Connection, cause: SchemaError): Promise<SchemaError> {
  const objects = layout.users ? await operator.listObjects() : [];
  const hasColumn = (column: string): boolean => objects.some(({ kind, name }) => kind === "column" && name === column);
  if (isMissing(cause) && hasColumn("token") && !hasColumn("user_id")) {
    const text = `table ${table.quoted} has no columns about users`;
    return tableProblem(table, { text, remedy: `run ${MIGRATE} to add them` }, cause);
  }
  const [first] = (await operator.findProblems()).filter(({ severity }) => severity === "error");
  return first === undefined ? cause : tableProblem(table, first, cause);
}

/** Makes an error of a finding. */
export function tableProblem(
  { quoted }: TableName,
  { text, remedy = "run npx pgstore check" }: Pick<Finding, "text" | "remedy">,
  cause?: SchemaError,
): TableProblemError {
  return new TableProblemError(quoted, text, shellRemedy(remedy), cause);
}

/** Words a remedy for people at a shell. */
export function shellRemedy(remedy: string): string {
  return remedy
    .replace(/^run store\.migrate\(\), or .*/s, `run ${MIGRATE}, or name another table with --table and --schema`)
    .replaceAll(MIGRATE, "npx pgstore migrate");
}

/**
 * Opens a database.
 *
 * @param table - for messages, quoted
 * @param remedy - advice for an error about a missing table
 * @param mayCreate - whether to create a PGlite folder that does not exist
 * @throws StoreUnavailableError when the database doesn't answer
 */
export async function openUrl(url: string, table: string, remedy = "Name another table.", mayCreate = false) {
  const folder = folderOf(url);
  if (folder !== undefined && !mayCreate && !existsSync(folder)) {
    throw new StoreUnavailableError(`folder ${folder} does not exist`);
  }
  const opened = await openDatabase(url, MAX_CONNECTIONS);
  try {
    const query = await openQuery(opened.client, MAX_QUERY_MS, table, remedy);
    return { ...opened, url, isServer: folder === undefined, query };
  } catch (error) {
    await opened.close();
    throw error;
  }
}
