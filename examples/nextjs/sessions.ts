import pg from "pg";
import { PgStore, SessionManager } from "pgstore";

export interface Data {
  notes: string[];
}

function open() {
  // Idle connections must not keep a stopping server alive.
  const pool = new pg.Pool({
    connectionString: process.env.DATABASE_URL,
    connectionTimeoutMillis: 5000,
    allowExitOnIdle: true,
  });
  pool.on("error", console.error);
  const store = new PgStore(pool);
  return { store, manager: new SessionManager<Data>(store, { idleTimeout: "1h" }) };
}

// Next.js evaluates a module once for pages, once for proxy.ts, and with `next dev` again after each change. All of them share one pool.
const shared = globalThis as { sessions?: ReturnType<typeof open> };
export const { store, manager } = (shared.sessions ??= open());
