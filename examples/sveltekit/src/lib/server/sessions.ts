import pg from "pg";
import { PgStore, SessionManager } from "pgstore";
import { env } from "$env/dynamic/private";

export interface Data {
  notes: string[];
}

// Idle connections must not keep a stopping server alive.
const pool = new pg.Pool({
  connectionString: env.DATABASE_URL,
  connectionTimeoutMillis: 5000,
  allowExitOnIdle: true,
});
pool.on("error", console.error);
export const store = new PgStore(pool);
export const manager = new SessionManager<Data>(store, { idleTimeout: "1h" });
