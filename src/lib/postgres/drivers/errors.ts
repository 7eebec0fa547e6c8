import { PgStoreError, SchemaError, StoreError, StoreUnavailableError } from "../../core/errors.ts";

/** A statement was not sent because the client had no connection: nothing has happened. */
export class NotSentError extends Error {
  override readonly name = "NotSentError";

  /** Wraps the client's error. @param cause - the client's error */
  constructor(cause: unknown) {
    super("the statement was not sent", { cause });
  }
}

/**
 * The kind of a statement's failure, which decides whether it is retried.
 *
 * - `rolled back`: a conflict with another transaction. Nothing has happened. Retried
 * - `not begun`: the server accepted no connection. Nothing has happened. Retried
 * - `standby`: the server has become read-only. Nothing has happened. Retried on another connection
 * - `lost`: the connection broke, and the outcome is unknown. Retried where that does no harm
 * - `unprepared`: a pooler mixed up prepared statements. Nothing has happened. Retried unprepared
 * - `unavailable`: a reason that may pass, but not at once
 * - `schema`: the table is missing or has other columns
 * - `refused`: a reason that lies in a row
 */
export type Failure =
  "rolled back" | "not begun" | "standby" | "lost" | "unprepared" | "unavailable" | "schema" | "refused";

/** SQLSTATEs by kind of failure. The first match decides. Without a match it is `refused`. */
const TABLE: readonly [Failure, RegExp][] = [
  // serialization_failure, deadlock_detected
  ["rolled back", /^(?:40001|40P01)$/],
  // too_many_connections, cannot_connect_now ("the database system is starting up"), sqlclient_unable_to_establish_…, rejected
  ["not begun", /^(?:53300|57P03|08001|08004)$/],
  // read_only_sql_transaction
  ["standby", /^25006$/],
  // connection exceptions, admin_shutdown, crash_shutdown, idle_session_timeout
  ["lost", /^(?:08|57P01|57P02|57P05)/],
  // duplicate_prepared_statement, invalid_sql_statement_name
  ["unprepared", /^(?:42P05|26000)$/],
  // rollbacks, resources (a full disk), intervention (query_canceled), lock_not_available, idle_in_transaction_session_timeout,
  // system errors, credentials, no such database
  ["unavailable", /^(?:40|53|57|55P03|25P03|58|XX|28|3D)/],
  // undefined table, column, function (an operator for other types), datatype_mismatch, cannot_coerce, wrong_object_type,
  // invalid_column_reference (ON CONFLICT without a unique constraint), invalid_schema_name, not_null_violation (an
  // application's column without a default)
  ["schema", /^(?:42P01|42703|42883|42804|42846|42809|42P10|3F000|23502)$/],
];

/** Error codes of a connection that was never made. */
const NOT_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "CONNECT_TIMEOUT"]);

/** Returns the kind of a driver's error. */
export function failureOf(error: unknown): Failure {
  if (error instanceof NotSentError) {
    const failure = failureOf(error.cause);
    return failure === "lost" ? "not begun" : failure;
  }
  const sqlstate = sqlstateOf(error);
  if (sqlstate !== undefined) return TABLE.find(([, states]) => states.test(sqlstate))?.[0] ?? "refused";
  // A name such as localhost has several addresses, each with an error.
  const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
  const isNotBegun = errors.every((one) => NOT_CONNECTED.has(String((one as { code?: unknown } | null)?.code)));
  // An error without SQLSTATE: the connection broke.
  return isNotBegun && errors.length > 0 ? "not begun" : "lost";
}

/** Returns the SQLSTATE of a driver's error, or undefined for an error of the connection. */
export function sqlstateOf(error: unknown): string | undefined {
  const code: unknown = (error as { code?: unknown } | null)?.code;
  // Excludes EPIPE: no class of SQLSTATE begins with E.
  return typeof code === "string" && /^[0-9A-DF-Z][0-9A-Z]{4}$/.test(code) ? code : undefined;
}

/**
 * Turns a driver's error into a PgStoreError, by SQLSTATE and never by message.
 *
 * @param remedy - advice for an error about a missing table
 */
export function toStoreError(error: unknown, table: string, remedy: string): PgStoreError {
  if (error instanceof PgStoreError) return error;
  if (error instanceof NotSentError) return toStoreError(error.cause, table, remedy);
  const sqlstate = sqlstateOf(error);
  const cause = withoutValues(error);
  if (sqlstate === undefined) {
    return new StoreUnavailableError("the database can't be reached or closed the connection", { cause });
  }
  switch (failureOf(error)) {
    case "schema":
      return new SchemaError(table, `table ${table} is missing or has other columns than expected. ${remedy}`, {
        cause,
      });
    case "lost":
    case "not begun":
    case "standby":
    case "rolled back":
    case "unavailable":
      return new StoreUnavailableError(`the database is not available (SQLSTATE ${sqlstate})`, { cause });
    case "unprepared":
    case "refused":
      return new StoreError(`the database refused a statement on table ${table} (SQLSTATE ${sqlstate})`, { cause });
  }
}

/** undefined_table, undefined_column, insufficient_privilege */
const MISSING = /^(?:42P01|42703|42501)$/;

/** Tells whether a table or column is missing, or denied to this role. */
export function isMissing(error: unknown): error is PgStoreError {
  return error instanceof PgStoreError && MISSING.test(sqlstateOf(error.cause) ?? "");
}

/**
 * Tells whether the reason of a refusal can lie in a single row: its values (22), constraints (23, 44), size (54), or a
 * function or trigger of the application (38, P0). Privileges and syntax concern every row.
 */
export function mayLieInRow(error: unknown): boolean {
  return /^(?:22|23|38|44|54|P0)/.test(sqlstateOf(error) ?? "") && failureOf(error) === "refused";
}

const UNIQUE_VIOLATION = "23505";

/** Returns no rows for the error of a taken id. Throws every other error. */
export function noRowsIfTaken(error: unknown): never[] {
  if (sqlstateOf(error) === UNIQUE_VIOLATION) return [];
  throw error;
}

/** Properties of a driver's error that contain no session data. */
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
 * Copies a driver's error without the properties that quote parameters, such as tokens and data: PostgreSQL puts the failing
 * row into `detail`, PGlite the values into `params`.
 */
function withoutValues(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const copy = bareCopy(error);
  for (const name of SAFE) {
    const value: unknown = Reflect.get(error, name);
    if (value !== undefined) Object.assign(copy, { [name]: value });
  }
  return copy;
}

/** Copies the message, name and stack of an error. */
export function bareCopy({ message, name, stack }: Error): Error {
  return Object.assign(new Error(message), { name, stack });
}
