import { randomUUID } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";

/** A database of a test file's own. */
export interface TestDatabase {
  name: string;
  url: string;
  /** A pool on it, which `drop` ends. */
  pool(config?: pg.PoolConfig): pg.Pool;
  drop(): Promise<void>;
}

/** Guards the template, which can't be copied while somebody else copies it. */
const LOCK = "SELECT pg_advisory_lock(20170704)";

/** Makes a database: a copy of the template, which has the table `sessions`, or an empty one. */
export async function createDatabase(options: { template?: boolean } = {}): Promise<TestDatabase> {
  const name = `pgstore_${randomUUID().replaceAll("-", "")}`;
  const template = options.template === false ? "template1" : inject("template");
  await asAdmin(async (client) => {
    await client.query(LOCK);
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  });
  const url = new URL(inject("databaseUrl"));
  url.pathname = `/${name}`;
  const pools: pg.Pool[] = [];
  return {
    name,
    url: url.href,
    pool(config = {}) {
      const pool = new pg.Pool({ ...config, connectionString: url.href });
      pools.push(pool);
      return pool;
    },
    async drop() {
      for (const pool of pools) {
        // Connections of a pool that has ended may still be closing when the database goes.
        pool.on("remove", (client) => client.on("error", () => {}));
        await pool.end();
      }
      await asAdmin((client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
    },
  };
}

async function asAdmin(work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client(inject("databaseUrl"));
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
