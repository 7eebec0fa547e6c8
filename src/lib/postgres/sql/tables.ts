import { quoteIdentifier, shortened, type TableName } from "./table-name.ts";

// The whole schema, once: `migrate` makes of it what is missing, `check` compares with it, and it is printed as plain SQL.

/** A column as `format_type` calls its type. */
export interface Column {
  readonly name: string;
  readonly type: string;
  /** SQL of its type and constraints, where that is more than the type. */
  readonly ddl?: string;
}

/** SCS's columns, without which there are no sessions. */
export const SESSION_COLUMNS: readonly Column[] = [
  { name: "token", type: "text", ddl: "text PRIMARY KEY" },
  { name: "data", type: "bytea", ddl: "bytea NOT NULL" },
  { name: "expiry", type: "timestamp with time zone", ddl: "timestamptz NOT NULL" },
];

/** What is known of a session whose user has logged in. A Go program, or an older pgstore, leaves them as they are. */
export const USER_COLUMNS: readonly Column[] = [
  { name: "user_id", type: "text", ddl: 'text COLLATE "C"' },
  { name: "created", type: "timestamp with time zone", ddl: "timestamptz" },
  { name: "last_seen", type: "timestamp with time zone", ddl: "timestamptz" },
  { name: "ip", type: "text" },
  { name: "user_agent", type: "text" },
  { name: "tags", type: "text[]" },
];

/** A table beside that of the sessions. Its first column is its key. */
export interface Companion {
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
  /** Its first column, by which it is known: whoever made it may have called it anything. */
  readonly column: "expiry" | "user_id" | "tags";
  readonly columns: string;
  /** Default: a B-tree. */
  readonly using?: string;
  readonly where?: string;
}

export const INDEXES: readonly Index[] = [
  { column: "expiry", columns: "expiry" },
  { column: "user_id", columns: "user_id, created, token", where: "user_id IS NOT NULL" },
  { column: "tags", columns: "tags", using: "gin", where: "tags IS NOT NULL" },
];

export const ddlOf = ({ name, type, ddl = type }: Column): string => `${name} ${ddl}`;

/** SQL that creates an index; PostgreSQL chooses its name. @param table - quoted */
export function createIndex(table: string, { columns, using, where }: Index): string {
  const method = using === undefined ? "" : ` USING ${using}`;
  return `CREATE INDEX ON ${table}${method} (${columns})${where === undefined ? "" : ` WHERE ${where}`}`;
}

/** The table as the README has it, in a line. */
export function setupSql({ quoted }: TableName): string {
  const [index] = INDEXES;
  const table = `CREATE TABLE ${quoted} (${SESSION_COLUMNS.map(ddlOf).join(", ")});`;
  return index === undefined ? table : `${table} ${createIndex(quoted, index)};`;
}

/**
 * The whole schema as plain SQL, a statement each, for whoever makes tables by hand or by a tool of their own. Each may run
 * again, and adds what a table of SCS or of an older pgstore lacks.
 */
export function schemaSql(table: TableName): string[] {
  const { name, quoted, schema } = table;
  const create = (target: string, columns: readonly Column[]): string =>
    `CREATE TABLE IF NOT EXISTS ${target} (\n${columns.map((column) => `  ${ddlOf(column)}`).join(",\n")}\n)`;
  const additions = USER_COLUMNS.map((column) => `  ADD COLUMN IF NOT EXISTS ${ddlOf(column)}`);
  return [
    ...(schema === undefined ? [] : [`CREATE SCHEMA IF NOT EXISTS ${schema.quoted}`]),
    create(quoted, SESSION_COLUMNS),
    `ALTER TABLE ${quoted}\n${additions.join(",\n")}`,
    ...COMPANIONS.map((companion) => create(table[companion.table], companion.columns)),
    ...INDEXES.map((index) => {
      // As PostgreSQL would call it.
      const called = shortened(name, `${index.columns.replaceAll(", ", "_")}_idx`);
      return createIndex(quoted, index).replace(
        "INDEX ON",
        `INDEX IF NOT EXISTS ${quoteIdentifier("table", called)} ON`,
      );
    }),
  ];
}

/**
 * What takes long on a table of many millions of rows, by hand and before `migrate`: an index is made while the table is
 * written to, which PostgreSQL does not do inside of what `migrate` runs. Each step is a statement of its own.
 */
export function stepsByHand({ quoted }: TableName): string[] {
  return [
    "SET lock_timeout = '5s'",
    `ALTER TABLE ${quoted} ${USER_COLUMNS.map((column) => `ADD COLUMN IF NOT EXISTS ${ddlOf(column)}`).join(", ")}`,
    ...INDEXES.map((index) => createIndex(quoted, index).replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY")),
  ];
}
