import type { APIContext } from "astro";
import pg from "pg";
import { PgStore, type Session, SessionManager } from "pgstore";
import { withSession } from "pgstore/cookies";

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

/** Opens the request's session for a page, an action or an endpoint. It is stored when `work` returns or throws. */
export function inSession<T>(
  { cookies, request }: Pick<APIContext, "cookies" | "request">,
  work: (session: Session<Data>) => T | Promise<T>,
): Promise<T> {
  return withSession(manager, cookies, work, { request });
}
