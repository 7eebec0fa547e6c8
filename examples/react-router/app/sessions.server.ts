import pg from "pg";
import { PgStore, type Session, SessionManager } from "pgstore";
import { createContext } from "react-router";

export interface Data {
  notes: string[];
}

// Idle connections must not keep a stopping server alive.
const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  connectionTimeoutMillis: 5000,
  allowExitOnIdle: true,
});
pool.on("error", console.error);
const store = new PgStore(pool);
await store.migrate();
export const manager = new SessionManager<Data>(store, { idleTimeout: "1h" });

/** Returns the request's session to loaders and actions. */
export const sessionContext = createContext<Session<Data>>();
