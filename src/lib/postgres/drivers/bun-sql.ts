import type { BunSql, Driver, Row } from "./driver.ts";
import { bareCopy, sqlstateOf } from "./errors.ts";
import { placedDriver, upTo } from "./places.ts";

/** The default number of connections of a Bun.SQL. */
const USUAL_CONNECTIONS = 10;

export function isBunSql(db: unknown): db is BunSql {
  const { unsafe, reserve, flush, options } = (db ?? {}) as Partial<BunSql>;
  const hasMembers = [unsafe, reserve, flush].every((member) => typeof member === "function");
  return typeof db === "function" && hasMembers && typeof options === "object" && !("typed" in db);
}

/** Makes a driver for a Bun.SQL. Bun prepares statements itself, unless its option `prepare` is false. */
export function bunSql(sql: BunSql): Driver {
  return placedDriver(
    sql,
    // A statement that waits in Bun's pool can't be taken back. So Bun gets no more at once than it has connections.
    upTo(sql.options.max ?? USUAL_CONNECTIONS),
    async ({ text }, { values }) => {
      try {
        return Array.from((await sql.unsafe(text, values)) as Row[]);
      } catch (error) {
        throw withSqlstate(error);
      }
    },
  );
}

/** Copies an error of Bun with the SQLSTATE as its `code`. Bun has it in `errno`. */
function withSqlstate(error: unknown): unknown {
  const { errno } = (error ?? {}) as { errno?: unknown };
  if (!(error instanceof Error) || sqlstateOf({ code: errno }) === undefined) return error;
  return Object.assign(bareCopy(error), { code: errno });
}
