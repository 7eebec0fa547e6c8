import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { inject } from "vitest";
import { watchText } from "./token-leaks.ts";

/** A database of one test file. */
export interface TestDatabase {
  readonly name: string;
  /** The URL for the restricted role if the tests run as that role and the database was not empty. */
  readonly url: string;
  /** Makes a pool, without a listener for its errors, that `drop` ends. */
  pool(config?: pg.PoolConfig): pg.Pool;
  /** Makes a pool as the administrator, whatever the tests' role, for statements that no program needs. */
  admin(config?: pg.PoolConfig): pg.Pool;
  /** Ends the pools and removes the database, even with open connections. */
  drop(): Promise<void>;
}

const OBJECT_IN_USE = "55006";
const CLONE_MS = 20_000;

/**
 * Makes a database: a clone of the template, with the table `sessions`, or with `template: false` an empty one.
 *
 * @example
 * const database = await createDatabase();
 * afterAll(() => database.drop());
 */
export async function createDatabase(options: { template?: boolean } = {}): Promise<TestDatabase> {
  const name = `pgstore_test_${randomBytes(6).toString("hex")}`;
  const source = options.template === false ? "template0" : inject("templateDatabase");
  await administer((client) => clone(client, source, name));
  const adminUrl = new URL(inject("databaseUrl"));
  adminUrl.pathname = name;
  const url = new URL(adminUrl);
  const role = inject("restrictedRole");
  // The maker of a table owns it.
  if (role !== undefined && options.template !== false) url.username = url.password = role;
  const pools: pg.Pool[] = [];
  const open =
    ({ href }: URL) =>
    (config?: pg.PoolConfig): pg.Pool => {
      const pool = new pg.Pool({ connectionString: href, ...config });
      pools.push(pool);
      return pool;
    };
  return {
    name,
    url: url.href,
    pool: open(url),
    admin: open(adminUrl),
    async drop() {
      await watchTable(adminUrl.href);
      await Promise.all(
        pools.splice(0).map(async (pool) => {
          // FORCE may reach a connection that is about to end.
          pool.on("error", () => {});
          if (!pool.ending) await pool.end();
        }),
      );
      await administer((client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
    },
  };
}

/** Asserts that no row of the table `sessions` holds a token. */
async function watchTable(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ row: string }>(
      "SELECT s::text || encode(s.data, 'escape') AS row FROM sessions s",
    );
    for (const { row } of rows) watchText("the table sessions", row);
  } catch {
    // Not every test has such a table, or leaves the database.
  } finally {
    await client.end().catch(() => {});
  }
}

/** Clones one at a time in the whole run: PostgreSQL refuses while another session is connected to the source. */
async function clone(client: pg.Client, source: string, name: string): Promise<void> {
  const deadline = Date.now() + CLONE_MS;
  // The session's end releases the lock.
  await client.query("SELECT pg_advisory_lock(hashtext('pgstore_test'))");
  for (;;) {
    try {
      await client.query(`CREATE DATABASE ${name} TEMPLATE ${source}`);
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== OBJECT_IN_USE || Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

async function administer(work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: inject("databaseUrl") });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
