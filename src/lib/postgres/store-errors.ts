import { PgStoreError, SchemaError, StoreError, StoreUnavailableError } from "../base/errors.ts";

/** SQLSTATEs that say: this is not the table we know. Also data exceptions of its columns' types. */
const SCHEMA = new Set([
  "42P01", // undefined_table
  "42703", // undefined_column
  "42804", // datatype_mismatch
  "42883", // undefined_function: an operator for other types
  "42846", // cannot_coerce
  "42809", // wrong_object_type
  "42P10", // invalid_column_reference: ON CONFLICT without a unique constraint
  "3F000", // invalid_schema_name
  "23502", // not_null_violation: a column of the application's without default
]);

/**
 * What says that the server can't answer now: connection (08), transaction rolled back (40), resources (53), operator's
 * intervention and timeouts (57, 55P03), system errors (58, XX), credentials (28), no such database (3D), a standby (25006).
 */
const UNAVAILABLE = /^(?:08|40|53|57|55P03|58|XX|28|3D|25006)/;
/** Serialization failure and deadlock: the statement was rolled back, and may go through the next time. */
const ROLLED_BACK = /^(?:40001|40P01)$/;
/** The connection went, or its server; no SQLSTATE at all says so too. */
const LOST = /^(?:08|57P01|57P02|57P03|57P05)/;
/** The prepared statement is taken (42P05) or unknown (26000): between us and the server is a pooler that mixes connections. */
const UNPREPARED = /^(?:42P05|26000)$/;

/**
 * Why a statement failed, which decides what becomes of it.
 * - `rolled back`: by its neighbours' doing; nothing has happened
 * - `lost`: with its connection; whether it was carried out is unknown
 * - `unprepared`: before it was carried out
 * - `unavailable`: for a reason that may pass
 * - `schema`: the table is another
 * - `refused`: for a reason that lies in a row
 */
export type Failure = "rolled back" | "lost" | "unprepared" | "unavailable" | "schema" | "refused";

/** The one table of SQLSTATEs. */
export function failureOf(error: unknown): Failure {
  const sqlstate = sqlstateOf(error);
  if (sqlstate === undefined || LOST.test(sqlstate)) return "lost";
  if (ROLLED_BACK.test(sqlstate)) return "rolled back";
  if (UNPREPARED.test(sqlstate)) return "unprepared";
  if (UNAVAILABLE.test(sqlstate)) return "unavailable";
  return SCHEMA.has(sqlstate) ? "schema" : "refused";
}

/** The SQLSTATE of a driver's error; undefined for errors of the connection, which have none. */
export function sqlstateOf(error: unknown): string | undefined {
  const code: unknown = (error as { code?: unknown } | null)?.code;
  // EPIPE has five letters as well; no class of SQLSTATE begins with E.
  return typeof code === "string" && /^[0-9A-DF-Z][0-9A-Z]{4}$/.test(code) ? code : undefined;
}

/**
 * Turns what a driver threw into an error of ours, by SQLSTATE, never by message.
 *
 * @param remedy - what to do about a table that is not as it should be
 */
export function toStoreError(error: unknown, table: string, remedy: string): PgStoreError {
  if (error instanceof PgStoreError) return error;
  const sqlstate = sqlstateOf(error);
  const cause = withoutValues(error);
  if (sqlstate === undefined) {
    return new StoreUnavailableError("the database can't be reached or closed the connection", { cause });
  }
  switch (failureOf(error)) {
    case "schema":
      return new SchemaError(table, `table ${table} is missing or has other columns than pgstore's. ${remedy}`, {
        cause,
      });
    case "lost":
    case "rolled back":
    case "unavailable":
      return new StoreUnavailableError(`the database is not available (SQLSTATE ${sqlstate})`, { cause });
    case "unprepared":
    case "refused":
      return new StoreError(`the database refused a statement on table ${table} (SQLSTATE ${sqlstate})`, { cause });
  }
}

/** What a driver's error may tell: of the server, of the connection, of the schema. */
const SAFE = [
  "code",
  "severity",
  "schema",
  "table",
  "column",
  "constraint",
  "routine",
  "errno",
  "syscall",
  "address",
  "port",
];

/**
 * Copies a driver's error without what quotes our parameters, tokens and data among them: PostgreSQL puts the failing row
 * into `detail`, PGlite the statement's values into `params`.
 */
function withoutValues(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const copy = new Error(error.message);
  copy.name = error.name;
  if (error.stack !== undefined) copy.stack = error.stack;
  for (const name of SAFE) {
    const value: unknown = Reflect.get(error, name);
    if (value !== undefined) Object.assign(copy, { [name]: value });
  }
  return copy;
}
