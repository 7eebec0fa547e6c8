import { StoreError } from "../base/errors.ts";
import type { PgClient, PostgresSql } from "../port/pg-client.ts";
import type { Driver, Row } from "./driver.ts";
import { isNodePostgres, nodePostgres } from "./node-postgres.ts";
import { isPGlite, pglite } from "./pglite.ts";
import { isPostgresJs, postgresJs } from "./postgres-js.ts";

/**
 * Makes a driver of a client.
 *
 * @throws TypeError when it is none
 */
export function driverOf(db: PgClient | PostgresSql): Driver {
  if (isPostgresJs(db)) return postgresJs(db);
  if (typeof db !== "object" || db === null || typeof db.query !== "function") {
    // A database of Drizzle's has its client in $client.
    const isDrizzle = typeof db === "object" && db !== null && "$client" in db;
    throw new TypeError(
      "db: must be a pg.Pool, the sql of postgres.js, a PGlite or an object with query(text, values)" +
        (isDrizzle ? "; of Drizzle's database pass db.$client" : ""),
    );
  }
  if (isNodePostgres(db)) return nodePostgres(db);
  const client: PgClient = db;
  if (isPGlite(db)) return pglite(db);
  return {
    prepares: false,
    run: async ({ text }, values) => rowsIn(await client.query(text, values)),
    leading: async (_name, _timeout, work) => {
      await work();
    },
  };
}

/** @throws StoreError when a client answers in another form */
function rowsIn(answer: { rows: unknown[] }): Row[] {
  const { rows } = (answer ?? {}) as { rows?: unknown };
  if (Array.isArray(rows)) return rows as Row[];
  const found = Array.isArray(answer) ? "an array" : "no rows";
  throw new StoreError(
    `db.query must resolve to { rows }, got ${found}: wrap the client in an object whose query does`,
  );
}
