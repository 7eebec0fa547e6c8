import { StoreError } from "../../core/errors.ts";
import type { Driver, PgClient, PostgresSql, Row } from "./driver.ts";
import { isNodePostgres, nodePostgres } from "./node-postgres.ts";
import { isPGlite, pglite } from "./pglite.ts";
import { perClient, Places } from "./places.ts";
import { isPostgresJs, postgresJs } from "./postgres-js.ts";

/** Statements that a client of unknown kind may keep past their time before it gets no more: as many as pools have connections. */
const MAX_OVERDUE = 10;

const placesOf = perClient(() => Places.untilOverdue(MAX_OVERDUE));

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
  const places = placesOf(client);
  return {
    prepares: false,
    run: (errand, timeout) =>
      places.run(errand, timeout, async ({ values }) => rowsIn(await client.query(errand.text, values))),
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
