import { detailsOf, type LoginDetails } from "../../core/login-details.ts";
import type { Row } from "../drivers/driver.ts";
import { quoteIdentifier, shortened, type TableName } from "./table-name.ts";

// The only definition of the schema, for `migrate`, `check` and the printed SQL.

/** A column, with its type as named by `format_type`. */
export interface Column {
  readonly name: string;
  readonly type: "text" | "text[]" | "bytea" | "timestamp with time zone" | "bigint" | "integer";
  /** SQL of its type and constraints. Default: the type. */
  readonly ddl?: string;
}

/** SCS's columns, without which there are no sessions. */
export const SESSION_COLUMNS: readonly Column[] = [
  { name: "token", type: "text", ddl: "text PRIMARY KEY" },
  { name: "data", type: "bytea", ddl: "bytea NOT NULL" },
  { name: "expiry", type: "timestamp with time zone", ddl: "timestamptz NOT NULL" },
];

/** The column of each of `LoginDetails`. */
const COLUMN_OF: Record<keyof LoginDetails, string> = { ip: "ip", userAgent: "user_agent" };
export const DETAILS = Object.keys(COLUMN_OF) as (keyof LoginDetails)[];
export const DETAIL_COLUMNS = Object.values(COLUMN_OF);

/** Reads the details of a login from a row of the table. */
export function detailsIn(row: Row): LoginDetails {
  return detailsOf(Object.fromEntries(DETAILS.map((detail) => [detail, row[COLUMN_OF[detail]] ?? undefined])));
}

/** Columns about a session's login. A Go program or an older pgstore leaves them unchanged. */
export const USER_COLUMNS: readonly Column[] = [
  { name: "user_id", type: "text", ddl: 'text COLLATE "C"' },
  { name: "created", type: "timestamp with time zone", ddl: "timestamptz" },
  { name: "last_seen", type: "timestamp with time zone", ddl: "timestamptz" },
  ...DETAIL_COLUMNS.map((name): Column => ({ name, type: "text" })),
  { name: "tags", type: "text[]" },
];

/** A companion table. Its first column is its key. */
interface Companion {
  readonly table: "users" | "history";
  readonly columns: readonly [Column, ...Column[]];
}

export const COMPANIONS: readonly Companion[] = [
  {
    table: "users",
    columns: [
      { name: "user_id", type: "text", ddl: 'text COLLATE "C" PRIMARY KEY' },
      { name: "last_login", type: "timestamp with time zone", ddl: "timestamptz" },
      { name: "revoked", type: "timestamp with time zone", ddl: "timestamptz" },
    ],
  },
  {
    table: "history",
    columns: [
      { name: "at", type: "timestamp with time zone", ddl: "timestamptz PRIMARY KEY" },
      { name: "created", type: "bigint", ddl: "bigint NOT NULL DEFAULT 0" },
      { name: "ended", type: "bigint", ddl: "bigint NOT NULL DEFAULT 0" },
      { name: "removed", type: "bigint", ddl: "bigint NOT NULL DEFAULT 0" },
      { name: "cleaned", type: "timestamp with time zone", ddl: "timestamptz" },
      { name: "took", type: "integer" },
      { name: "live", type: "bigint" },
      { name: "users", type: "bigint" },
    ],
  },
];

/** An index of the table of sessions. */
export interface Index {
  /** Its first column, which identifies it: its name may vary. */
  readonly column: "expiry" | "user_id" | "tags";
  readonly columns: string;
  /** Default: a B-tree. */
  readonly using?: string;
  readonly where?: string;
}

export const INDEXES: readonly [Index, ...Index[]] = [
  { column: "expiry", columns: "expiry" },
  { column: "user_id", columns: "user_id, created, token", where: "user_id IS NOT NULL" },
  { column: "tags", columns: "tags", using: "gin", where: "tags IS NOT NULL" },
];

export const ddlOf = ({ name, type, ddl = type }: Column): string => `${name} ${ddl}`;

/** Names an index as PostgreSQL would. @param table - unquoted */
export function indexName(table: string, { columns }: Index): string {
  return shortened(table, `${columns.replaceAll(", ", "_")}_idx`);
}

/** Returns SQL that creates an index, named by PostgreSQL. @param table - quoted */
export function createIndex(table: string, { columns, using, where }: Index): string {
  const method = using === undefined ? "" : ` USING ${using}`;
  return `CREATE INDEX ON ${table}${method} (${columns})${where === undefined ? "" : ` WHERE ${where}`}`;
}

/** Returns the SQL of SCS's table in a line, as in the README. */
export function setupSql({ quoted }: TableName): string {
  return `CREATE TABLE ${quoted} (${SESSION_COLUMNS.map(ddlOf).join(", ")}); ${createIndex(quoted, INDEXES[0])};`;
}

/**
 * Returns the whole schema as plain SQL statements, for migration tools. Each may run again, and adds what a table of SCS or
 * an older pgstore lacks.
 */
export function schemaSql(table: TableName): string[] {
  const { name, quoted, schema } = table;
  const create = (target: string, columns: readonly Column[]): string =>
    `CREATE TABLE IF NOT EXISTS ${target} (\n${columns.map((column) => `  ${ddlOf(column)}`).join(",\n")}\n)`;
  const additions = USER_COLUMNS.map((column) => `  ADD COLUMN IF NOT EXISTS ${ddlOf(column)}`);
  return [
    ...(schema === undefined ? [] : [`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier("schema", schema)}`]),
    create(quoted, SESSION_COLUMNS),
    `ALTER TABLE ${quoted}\n${additions.join(",\n")}`,
    ...COMPANIONS.map((companion) => create(table[companion.table], companion.columns)),
    ...INDEXES.map((index) => {
      const named = quoteIdentifier("table", indexName(name, index));
      return createIndex(quoted, index).replace("INDEX ON", `INDEX IF NOT EXISTS ${named} ON`);
    }),
  ];
}

/**
 * Returns statements to run by hand before `migrate` on a table of many millions of rows. They create indexes without
 * blocking writes, which PostgreSQL doesn't allow inside the block that `migrate` runs.
 */
export function stepsByHand({ quoted }: TableName): string[] {
  return [
    "SET lock_timeout = '5s'",
    `ALTER TABLE ${quoted} ${USER_COLUMNS.map((column) => `ADD COLUMN IF NOT EXISTS ${ddlOf(column)}`).join(", ")}`,
    ...INDEXES.map((index) => createIndex(quoted, index).replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY")),
  ];
}
