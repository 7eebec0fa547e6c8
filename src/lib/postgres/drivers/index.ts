import { StoreError } from "../../core/errors.ts";
import { shown } from "../../core/options.ts";
import { bunSql, isBunSql } from "./bun-sql.ts";
import type { DatabaseClient, Driver, PgClient, Row } from "./driver.ts";
import { isNeonHttp, neonHttp } from "./neon-http.ts";
import { otherClient } from "./other-clients.ts";
import { isNodePostgres, nodePostgres } from "./node-postgres.ts";
import { isPGlite, pglite } from "./pglite.ts";
import { placedDriver, untilOverdue } from "./places.ts";
import { isPostgresJs, postgresJs } from "./postgres-js.ts";

/**
 * Makes a driver for a client.
 *
 * @throws TypeError when the value is not a client
 */
export function driverOf(db: DatabaseClient): Driver {
  if (isPostgresJs(db)) return postgresJs(db);
  if (isNeonHttp(db)) return neonHttp(db);
  if (isBunSql(db)) return bunSql(db);
  const other = otherClient(db);
  if (other !== undefined || typeof db !== "object" || db === null || typeof db.query !== "function") {
    // A string may be a URL with a password.
    const got = other ?? (typeof db === "string" ? "a string: openStore takes a URL" : shown(db));
    throw new TypeError(
      `db: expected a pg.Pool, the sql of postgres.js, a PGlite or an object with query(text, values), got ${got}`,
    );
  }
  if (isNodePostgres(db)) return nodePostgres(db);
  const client: PgClient = db;
  if (isPGlite(db)) return pglite(db);
  return placedDriver(client, untilOverdue(), async ({ text }, { values }) => rowsIn(await client.query(text, values)));
}

/** Returns the rows of an answer. @throws StoreError when the client answers in another form */
function rowsIn(answer: { rows: unknown[] }): Row[] {
  const { rows } = (answer ?? {}) as { rows?: unknown };
  if (Array.isArray(rows)) return rows as Row[];
  const found = Array.isArray(answer) ? "an array" : "no rows";
  throw new StoreError(
    `db.query: expected an answer { rows }, got ${found}: wrap the client in an object whose query resolves to that`,
  );
}

/** The members of pg and postgres.js that say where their database is. */
interface Located {
  host?: unknown;
  options?: { host?: unknown };
  Client?: new (options: object) => { host?: unknown };
}

/** Returns the host of a client's database. Undefined: the client doesn't say. Never a user or a password. */
export function hostOf(client: unknown): string | undefined {
  const { host, options, Client } = client as Located;
  if (typeof host === "string") return host;
  // postgres.js may have several hosts.
  const hosts = options?.host;
  if (Array.isArray(hosts)) return hosts.filter((one) => typeof one === "string").join(", ") || undefined;
  if (isPGlite(client as object)) return "PGlite";
  if (typeof Client !== "function" || options === undefined) return undefined;
  try {
    // Only a pg.Client can read the pool's connection string. Creating one connects to nothing.
    const resolved = new Client(options).host;
    return typeof resolved === "string" ? resolved : undefined;
  } catch {
    return undefined;
  }
}
