import { monotonicNow } from "../../core/time.ts";
import type { Driver, Errand, Load, PostgresSql, Row } from "./driver.ts";
import { tooLate } from "./deadline.ts";
import { NotSentError, sqlstateOf } from "./errors.ts";
import { utf8 } from "../sql/text-format.ts";

/** A statement of postgres.js, and what of its inside tells and decides whether it is sent. */
interface Query extends PromiseLike<Result> {
  raw(): Query;
  /** The connection that has it; null while it waits for one. */
  state: object | null;
  /** The error after which it has prepared the statement again. */
  retried?: { code?: unknown } | null;
  /** Takes it out of the queue; otherwise it still has its turn, and is then left out. */
  cancel(): void;
  cancelled: unknown;
  strings: string[];
  args: unknown[];
  options: { prepare?: boolean };
}

/** Rows as arrays of the bytes that came; nobody's parsers or transforms had a say in them. */
type Result = (readonly (Uint8Array | null)[])[] & {
  columns: { name: string }[];
  command: string | null;
};

/**
 * PostgreSQL's `unknown`: it takes the types that the statement names, as if there were none here. postgres.js has no
 * serializer for it, so that none of the application's has a say.
 */
const UNKNOWN = 705;

/** SQLSTATEs: invalid_sql_statement_name, and query_canceled, which postgres.js throws itself. */
const UNPREPARED = "26000";
const CANCELLED = "57014";
/** Of a statement that was not sent, after another's error. */
const MAX_TRIES = 4;

type Outcome = { rows: Row[]; error?: never; sent?: never } | { rows?: never; error: unknown; sent: boolean };

export function isPostgresJs(db: unknown): db is PostgresSql {
  const { unsafe, typed, options } = (db ?? {}) as Partial<PostgresSql>;
  const isSql = typeof unsafe === "function" && typeof typed === "function" && typeof options === "object";
  return typeof db === "function" && isSql;
}

/** Makes a driver of the function that `postgres(url)` returns. */
export function postgresJs(sql: PostgresSql): Driver {
  // A single connection can't be dropped: one that leads to a standby after a failover stays until postgres.js ends it by its
  // `max_lifetime`. Its option `target_session_attrs: "primary"` keeps it from making such ones; "read-write" does not.
  // Without it for those behind a pooler that can't.
  let { prepare } = sql.options;
  const once = async ({ text, name }: Errand, { values, until }: Load): Promise<Outcome> => {
    const parameters = values.map((value) => sql.typed(value as never, UNKNOWN));
    // It names statements itself.
    const options = { prepare: prepare && name !== undefined, onexecute: alone };
    const query = sql.unsafe(text, parameters as never[], options) as Query;
    const timer = setTimeout(() => withdraw(query), Math.max(0, until - monotonicNow()));
    try {
      const result = await query.raw();
      // Written just when its connection was reset: it is told the end of the next one's greeting.
      if (result.command === null) return { error: new Error("the connection was reset"), sent: true };
      // It has prepared the statement once more by itself, and would each time: those before stay on the server for ever.
      if (query.retried?.code === UNPREPARED) prepare = false;
      return { rows: rowsOf(result) };
    } catch (error) {
      if (sqlstateOf(error) === undefined) await everythingClosed();
      return { error, sent: query.state !== null };
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    prepares: prepare,
    run: async (errand, timeout) => {
      for (let tries = 1; ;) {
        const load = errand.load();
        if (load === undefined) throw tooLate(timeout);
        const { rows, error, sent } = await once(errand, load);
        if (rows !== undefined) return rows;
        if (sent) throw error;
        const sqlstate = sqlstateOf(error);
        // Withdrawn, as some of it had got too old: the rest goes on.
        if (sqlstate === CANCELLED) continue;
        // It gives the last words of a connection that was killed to the first statement of the next, before it sends it.
        if (sqlstate === undefined || tries++ === MAX_TRIES) throw new NotSentError(error);
      }
    },
  };
}

/**
 * Keeps it from sending further statements after ours, before the answer: when the connection is reset, it could give a
 * statement another's answer.
 */
function alone(): boolean {
  return false;
}

/**
 * Resolves when sockets that are lost have told so. postgres.js doesn't know until then, and what is written to one of them
 * stays in the way of what comes after. Node closes them at the end of a turn; the first may still be in this one.
 */
async function everythingClosed(): Promise<void> {
  for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setImmediate(resolve));
}

/**
 * One that waits for a connection still must not be carried out when it has failed. One that was sent is left alone: to
 * cancel it takes a connection of its own, and postgres.js lets nobody catch that one's errors.
 */
function withdraw(query: Query): void {
  if (query.state !== null) return;
  query.cancel();
  // A connection that is being made for a statement that is cancelled would never be used again: so it gets another one.
  if (!Array.isArray(query.strings) || !Array.isArray(query.args)) return;
  query.strings = ["SELECT 1"];
  query.args = [];
  query.options.prepare = false;
  query.cancelled = null;
}

function rowsOf(result: Result): Row[] {
  // The application's transforms may have changed the columns' names, to other cases mostly; ours are lower-case words.
  const names = result.columns?.map(({ name }) => name.toLowerCase()) ?? [];
  const rows: Row[] = [];
  // Skips holes: it goes on counting where another answer broke off when the connection was lost, so that ours begins with them.
  result.forEach((row) => {
    const entries = row.map((bytes, index) => [names[index] ?? "", bytes === null ? null : utf8(bytes)]);
    rows.push(Object.fromEntries(entries) as Row);
  });
  return rows;
}
