import { randomBytes } from "node:crypto";
import pg from "pg";
import { startPostgres } from "../../../test/support/postgres-server.ts";
import type { Undo } from "./undo.ts";

/** As in production, on a small machine; a commit is on the disk before it is acknowledged. */
const SETTINGS = {
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  shared_buffers: "256MB",
  max_wal_size: "4GB",
  max_connections: "100",
  autovacuum: "on",
};

const INSUFFICIENT_PRIVILEGE = "42501";

/** The PostgreSQL that everything is measured on. */
export interface Postgres {
  url: string;
  /** Started by us, not that of BENCH_DATABASE_URL. */
  own: boolean;
  version: string;
  /** The settings that matter, by name, as the server has them. */
  settings: Record<string, string>;
}

/** Starts PostgreSQL; takes the one of BENCH_DATABASE_URL where that is set. */
export async function openPostgres(undo: Undo): Promise<Postgres> {
  const given = process.env["BENCH_DATABASE_URL"];
  let url = given ?? "";
  if (url === "") {
    const server = await startPostgres({ settings: SETTINGS }).catch((cause: unknown) => {
      throw new Error("PostgreSQL can't be started here; set BENCH_DATABASE_URL to a server to use", { cause });
    });
    undo.add(() => server.stop());
    url = server.url;
  }
  return await withClient(url, async (client) => {
    const { rows } = await client.query<{ name: string; setting: string }>(
      "SELECT name, current_setting(name) AS setting FROM unnest($1::text[]) AS name",
      [["server_version", ...Object.keys(SETTINGS)]],
    );
    const { server_version: version = "", ...settings } = Object.fromEntries(
      rows.map(({ name, setting }) => [name, setting]),
    );
    return { url, own: url !== given, version, settings };
  });
}

/** Makes an empty database, which `undo` removes. Returns its URL. */
export async function createDatabase(server: Postgres, undo: Undo): Promise<string> {
  const name = `pgstore_bench_${randomBytes(6).toString("hex")}`;
  await withClient(server.url, (client) => client.query(`CREATE DATABASE ${name} TEMPLATE template0`));
  undo.add(() => withClient(server.url, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`)));
  const url = new URL(server.url);
  url.pathname = name;
  return url.href;
}

/** A pool as each peer and pgstore gets it. */
export function createPool(url: string, undo: Undo): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  // The server ends connections when the database is removed.
  pool.on("error", () => {});
  undo.add(async () => {
    if (!pool.ending) await pool.end();
  });
  return pool;
}

/** Leaves nothing of the filling of tables to be done during a measurement. */
export async function settle(pool: pg.Pool): Promise<void> {
  await pool.query("VACUUM ANALYZE");
  try {
    await pool.query("CHECKPOINT");
  } catch (error) {
    // Not everybody may, on a server that was not started here.
    if ((error as { code?: unknown }).code !== INSUFFICIENT_PRIVILEGE) throw error;
  }
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
