import type { PostgresSql } from "../port/pg-client.ts";
import type { Driver, Row } from "./driver.ts";
import { utf8 } from "./wire.ts";

/** A statement of postgres.js, and what of its inside tells whether it was sent. */
interface Query extends PromiseLike<Result> {
  raw(): Query;
  /** The connection that has it; null while it waits for one. */
  state: object | null;
  cancel(): void;
}

/** Rows as arrays of the bytes that came; nobody's parsers or transforms had a say in them. */
type Result = (readonly (Uint8Array | null)[])[] & { columns: { name: string }[] };

/**
 * PostgreSQL's `unknown`: it takes the types that the statement names, as if there were none here. postgres.js has no
 * serializer for it, so that none of the application's has a say.
 */
const UNKNOWN = 705;

export function isPostgresJs(db: unknown): db is PostgresSql {
  const { unsafe, typed, options } = (db ?? {}) as Partial<PostgresSql>;
  const isSql = typeof unsafe === "function" && typeof typed === "function" && typeof options === "object";
  return typeof db === "function" && isSql;
}

/** Makes a driver of the function that `postgres(url)` returns. */
export function postgresJs(sql: PostgresSql): Driver {
  return {
    // False for those behind a pooler that can't.
    prepares: sql.options.prepare,
    run: async ({ text, name }, values, timeout) => {
      const parameters = values.map((value) => sql.typed(value as never, UNKNOWN));
      // It names statements itself.
      const query = sql.unsafe(text, parameters as never[], { prepare: name !== undefined }) as Query;
      // One that waits for a connection still must not be carried out when it has failed. One that was sent is left alone:
      // to cancel it takes a connection of its own, and postgres.js lets nobody catch that one's errors.
      const timer = setTimeout(() => query.state === null && query.cancel(), timeout);
      try {
        return rowsOf(await query.raw());
      } finally {
        clearTimeout(timer);
      }
    },
    // A lock would need a connection of its own for the whole work, and when that dies, postgres.js throws where nobody
    // can catch it. So each process cleans up: twice the reading, and nothing wrong.
    leading: async (_name, _timeout, work) => {
      await work();
    },
  };
}

function rowsOf(result: Result): Row[] {
  // The application's transforms may have changed the columns' names, to other cases mostly; ours are lower-case words.
  const names = result.columns?.map(({ name }) => name.toLowerCase()) ?? [];
  return result.map((row) => {
    const entries = row.map((bytes, index) => [names[index] ?? "", bytes === null ? null : utf8(bytes)]);
    return Object.fromEntries(entries) as Row;
  });
}
