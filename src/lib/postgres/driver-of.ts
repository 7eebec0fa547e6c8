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
    throw new TypeError(
      "db: must be a pg.Pool, the sql of postgres.js, a PGlite or an object with query(text, values)",
    );
  }
  if (isNodePostgres(db)) return nodePostgres(db);
  const client: PgClient = db;
  if (isPGlite(db)) return pglite(db);
  return {
    prepares: false,
    run: async ({ text }, values) => (await client.query(text, values)).rows as Row[],
    leading: async (_name, _timeout, work) => {
      await work();
    },
  };
}
