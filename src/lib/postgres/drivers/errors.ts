import { PgStoreError, SchemaError, StoreError, StoreUnavailableError } from "../../core/errors.ts";

/** A statement was not sent, as the client had no connection for it: nothing has happened. */
export class NotSentError extends Error {
  override readonly name = "NotSentError";

  /** @param cause - what the client says */
  constructor(cause: unknown) {
    super("the statement was not sent", { cause });
  }
}

/**
 * Why a statement failed, which decides what becomes of it.
 * - `rolled back`: by its neighbours' doing; nothing has happened. Tried again
 * - `not begun`: the server took no connection; nothing has happened. Tried again
 * - `standby`: the connection leads to a server that is none any more to write to; nothing has happened. Tried again on another
 * - `lost`: with its connection; whether it was carried out is unknown. Tried again where that does no harm
 * - `unprepared`: before it was carried out, by a pooler that mixes connections. Made again, unprepared
 * - `unavailable`: for a reason that may pass, but not at once
 * - `schema`: the table is another
 * - `refused`: for a reason that lies in a row
 */
export type Failure =
  "rolled back" | "not begun" | "standby" | "lost" | "unprepared" | "unavailable" | "schema" | "refused";

/** The one table of SQLSTATEs: the first line that fits decides. Those in no line are `refused`. */
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
  // invalid_column_reference (ON CONFLICT without a unique constraint), invalid_schema_name, not_null_violation (a column of
  // the application's without default)
  ["schema", /^(?:42P01|42703|42883|42804|42846|42809|42P10|3F000|23502)$/],
];

/** What the operating system and drivers say of a connection that was never made. */
const NOT_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "CONNECT_TIMEOUT"]);

export function failureOf(error: unknown): Failure {
  if (error instanceof NotSentError) {
    const failure = failureOf(error.cause);
    return failure === "lost" ? "not begun" : failure;
  }
  const sqlstate = sqlstateOf(error);
  if (sqlstate !== undefined) return TABLE.find(([, states]) => states.test(sqlstate))?.[0] ?? "refused";
  // Several addresses were tried, of a name such as localhost.
  const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
  const isNotBegun = errors.every((one) => NOT_CONNECTED.has(String((one as { code?: unknown } | null)?.code)));
  // No SQLSTATE at all: the connection broke.
  return isNotBegun && errors.length > 0 ? "not begun" : "lost";
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

/** The columns or the tables are not there, or this role may not use them. */
export function isMissing(error: unknown): error is PgStoreError {
  return error instanceof PgStoreError && MISSING.test(sqlstateOf(error.cause) ?? "");
}

/**
 * Whether what the database refused can lie in one row of several: in its values (22), in constraints (23, 44), in its size
 * (54), or for a function or trigger of the application's (38, P0). Rights, syntax and the like lie in none.
 */
export function mayLieInRow(error: unknown): boolean {
  return /^(?:22|23|38|44|54|P0)/.test(sqlstateOf(error) ?? "") && failureOf(error) === "refused";
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
