import pg from "pg";
import { PgStore, type Session, SessionManager } from "pgstore";
import { createContext } from "react-router";

export interface Data {
  notes: string[];
}

// Idle connections don't keep a server alive that has been told to stop.
const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  connectionTimeoutMillis: 5000,
  allowExitOnIdle: true,
});
pool.on("error", console.error);
const store = new PgStore(pool);
await store.migrate();
export const manager = new SessionManager<Data>(store, { idleTimeout: "1h" });

/** The request's session, for loaders and actions. */
export const sessionContext = createContext<Session<Data>>();
