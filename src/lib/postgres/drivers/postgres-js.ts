import { warn } from "../../core/log.ts";
import { type Driver, type Errand, type Load, type PostgresSql, type Row, tooLate } from "./driver.ts";
import { Deadlines } from "./places.ts";
import { NotSentError, sqlstateOf } from "./errors.ts";
import { utf8 } from "../sql/text-format.ts";

/** A statement of postgres.js, with the internal members that decide whether it is sent. */
interface Query extends PromiseLike<Result> {
  raw(): Query;
  /** The connection that runs it, or null while it waits. */
  state: object | null;
  /** The error after which postgres.js prepared the statement again. */
  retried?: { code?: unknown } | null;
  /** Takes it out of the queue, or makes postgres.js skip it. */
  cancel(): void;
  cancelled: unknown;
  strings: string[];
  args: unknown[];
  options: { prepare?: boolean };
}

/** Rows as arrays of raw bytes, without parsers or transforms. */
type Result = (readonly (Uint8Array | null)[])[] & {
  columns: { name: string }[];
  command: string | null;
};

/**
 * PostgreSQL's oid of `unknown`: the statement's casts decide the types. postgres.js has no serializer for it, which
 * bypasses the application's.
 */
const UNKNOWN = 705;

/** SQLSTATEs: invalid_sql_statement_name, and query_canceled, which postgres.js also throws itself. */
const UNPREPARED = "26000";
const CANCELLED = "57014";
/** Attempts to send a statement that failed with another statement's error. */
const MAX_TRIES = 4;

type Outcome = { rows: Row[]; error?: never; sent?: never } | { rows?: never; error: unknown; sent: boolean };

export function isPostgresJs(db: unknown): db is PostgresSql {
  const { unsafe, typed, options } = (db ?? {}) as Partial<PostgresSql>;
  const isSql = typeof unsafe === "function" && typeof typed === "function" && typeof options === "object";
  return typeof db === "function" && isSql;
}

/** Makes a driver for the `sql` function of postgres.js. */
export function postgresJs(sql: PostgresSql): Driver {
  // postgres.js can't drop a single connection: after a failover, one to a standby stays until its `max_lifetime`. Its option
  // `target_session_attrs: "primary"` avoids such connections ("read-write" does not).
  let { prepare } = sql.options;
  warnOfFetchedTypes(sql);
  const once = async ({ text, name }: Errand, { values, until }: Load): Promise<Outcome> => {
    const parameters = values.map((value) => sql.typed(value as never, UNKNOWN));
    // postgres.js names prepared statements itself.
    const options = { prepare: prepare && name !== undefined, onexecute: alone };
    const query = sql.unsafe(text, parameters as never[], options) as Query;
    const timer = setTimeout(() => withdraw(query), Math.max(0, until - performance.now()));
    try {
      const result = await query.raw();
      // The connection was reset after the write: postgres.js took the next connection's greeting for the answer.
      if (result.command === null) return { error: new Error("the connection was reset"), sent: true };
      // postgres.js would prepare the statement again each time, and the earlier ones stay on the server for ever.
      if (query.retried?.code === UNPREPARED) prepare = false;
      return { rows: rowsOf(result) };
    } catch (error) {
      if (sqlstateOf(error) === undefined) await everythingClosed();
      return { error, sent: query.state !== null };
    } finally {
      clearTimeout(timer);
    }
  };
  const deadlines = new Deadlines();
  const run = async (errand: Errand, timeout: number): Promise<Row[]> => {
    for (let tries = 1; ;) {
      const load = errand.load();
      if (load === undefined) throw tooLate(timeout);
      const { rows, error, sent } = await once(errand, load);
      if (rows !== undefined) return rows;
      if (sent) throw error;
      const sqlstate = sqlstateOf(error);
      // Withdrawn because some operations became too old: send the rest.
      if (sqlstate === CANCELLED) continue;
      // postgres.js fails the first statement of a new connection with the last error of the killed one.
      if (sqlstate === undefined || tries++ === MAX_TRIES) throw new NotSentError(error);
    }
  };
  return {
    prepares: prepare,
    // The end of a turn is the moment between the error of a socket and its "close". A statement that postgres.js sends then is never answered,
    // and neither is any later one on that connection.
    leavesAtOnce: true,
    run: (errand, timeout) => deadlines.limit(run(errand, timeout), timeout),
  };
}

/** The warning is given once, as a program is likely to make all its clients alike. */
const ALL_CLIENTS = {};

/** Warns of a client that reads types on each new connection. No caller can catch the error when that connection is lost meanwhile. */
function warnOfFetchedTypes({ options }: PostgresSql): void {
  if (options.fetch_types !== true) return;
  warn(
    "PGSTORE_FETCH_TYPES",
    "postgres.js without fetch_types: false ends the process when the server closes a connection whose types are being read, as in a " +
      "restart. Set it: postgres(url, { fetch_types: false, … })",
    ALL_CLIENTS,
  );
}

/**
 * Keeps postgres.js from pipelining statements: when the connection is reset, it could give a statement the answer of
 * another.
 */
function alone(): boolean {
  return false;
}

/**
 * Resolves when lost sockets have emitted "close". Until then postgres.js writes to them, which blocks later statements. Node
 * closes sockets at the end of a turn of the event loop, which may be this one or the next.
 */
async function everythingClosed(): Promise<void> {
  for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setImmediate(resolve));
}

/**
 * Withdraws a statement that still waits for a connection. A sent statement is left alone: cancelling it takes another
 * connection, whose errors postgres.js doesn't let callers catch.
 */
function withdraw(query: Query): void {
  if (query.state !== null) return;
  query.cancel();
  // A connection that is being made for a cancelled statement would never be used again, so it gets another statement.
  if (!Array.isArray(query.strings) || !Array.isArray(query.args)) return;
  query.strings = ["SELECT 1"];
  query.args = [];
  query.options.prepare = false;
  query.cancelled = null;
}

function rowsOf(result: Result): Row[] {
  // The application's transforms may have changed the case of column names. pgstore's are in lower case.
  const names = result.columns?.map(({ name }) => name.toLowerCase()) ?? [];
  const rows: Row[] = [];
  // forEach skips holes: if another answer broke off with its connection, postgres.js starts this one at a later index.
  result.forEach((row) => {
    const entries = row.map((bytes, index) => [names[index] ?? "", bytes === null ? null : utf8(bytes)]);
    rows.push(Object.fromEntries(entries) as Row);
  });
  return rows;
}
