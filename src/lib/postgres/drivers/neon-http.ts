import type { Driver, Row } from "./driver.ts";
import { placedDriver, untilOverdue } from "./places.ts";

/** The members of the function which `neon()` of @neondatabase/serverless returns. Each query is an HTTP request. */
interface NeonSql {
  query(text: string, values: unknown[], options: object): Promise<{ rows: unknown[] }>;
  unsafe(text: string): unknown;
  transaction(queries: unknown): unknown;
}

/** Bypasses the application's options and type parsers, as each column is text. */
const AS_IT_IS = {
  fullResults: true,
  arrayMode: false,
  types: { getTypeParser: () => (text: string) => text },
};

export function isNeonHttp(db: unknown): db is NeonSql {
  const { query, unsafe, transaction } = (db ?? {}) as Partial<NeonSql>;
  return typeof db === "function" && [query, unsafe, transaction].every((member) => typeof member === "function");
}

/** Makes a driver for the function of `neon()`. */
export function neonHttp(sql: NeonSql): Driver {
  return placedDriver(sql, untilOverdue(), async ({ text }, { values }, timeout) => {
    // A request has no time limit of its own.
    const fetchOptions = { signal: AbortSignal.timeout(Math.ceil(timeout)) };
    return (await sql.query(text, values, { ...AS_IT_IS, fetchOptions })).rows as Row[];
  });
}
