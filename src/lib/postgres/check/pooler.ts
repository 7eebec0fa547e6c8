import type { Client } from "pg";
import { error, type Finding, ok, warn } from "./finding.ts";

/** A pooler that has a free connection hands it out sooner. */
const MAX_WAIT_MS = 1000;
const STATEMENT_NAME = "pgstore_check";

/**
 * Checks for a pooler between this process and the server, and its mode.
 *
 * Behind a pooler the number of the server's process differs from the number told on connecting. In transaction mode it
 * changes from one transaction to the next when another client has taken the connection meanwhile. Here the second
 * connection takes it.
 *
 * @param url - URL of a server, or undefined for an embedded database
 */
export async function checkPooler(url: string | undefined): Promise<Finding> {
  if (url === undefined) return ok("pooler", "none: the database is embedded");
  const { default: pg } = await import("pg");
  const open = (): Client => {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: MAX_WAIT_MS,
      query_timeout: MAX_WAIT_MS,
    });
    client.on("error", () => {});
    return client;
  };
  const [client, other] = [open(), open()];
  try {
    await client.connect();
    const [told, first] = [(client as { processID?: number | null }).processID, await backendOf(client)];
    if (told == null || String(told) === first) return ok("pooler", "none: the connection goes straight to the server");
    // No second connection: the first holds the pooler's only one for as long as it lasts.
    if (!(await begin(other))) return ok("pooler", "in session mode");
    return await modeOf(client, first);
  } catch {
    return error(
      "pooler",
      "the server accepts no further connection",
      "raise max_connections, or shrink the pools of the applications",
    );
  } finally {
    await Promise.all([client, other].map((one) => one.end().catch(() => {})));
  }
}

/** Tells the pooler's mode. @param first - the server's process before the other connection began its transaction */
async function modeOf(client: Client, first: string): Promise<Finding> {
  try {
    const second = await backendOf(client);
    if (second === first) return ok("pooler", "in session mode");
    return ok("pooler", "in transaction mode, and prepared statements work through it");
  } catch (failure) {
    const { code } = failure as { code?: unknown };
    // A timeout has no SQLSTATE: the other transaction holds the only connection.
    if (code === undefined) return ok("pooler", "in transaction mode with a single connection");
    return warn(
      "pooler",
      "in transaction mode, and prepared statements do not work through it. pgstore notices at the first failure and stops preparing",
      "with PgBouncer 1.21 or newer set max_prepared_statements = 200, otherwise new PgStore(pool, { prepare: false })",
    );
  }
}

async function backendOf(client: Client): Promise<string> {
  const { rows } = await client.query<{ pid: string }>({
    name: STATEMENT_NAME,
    text: "SELECT pg_catalog.pg_backend_pid()::text AS pid",
  });
  return rows[0]?.pid ?? "";
}

/** Takes a connection of the pooler until this one ends. Resolves to whether it got one. */
async function begin(client: Client): Promise<boolean> {
  try {
    await client.connect();
    await client.query("BEGIN");
    return true;
  } catch {
    return false;
  }
}
