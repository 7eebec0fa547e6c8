import type { RequestEvent } from "@sveltejs/kit";
import pg from "pg";
import { PgStore, type Session, SessionManager } from "pgstore";
import { withSession } from "pgstore/cookies";
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

/** Opens the request's session for `load`, a form action or an endpoint. It is stored when `work` returns or throws a redirect. */
export function inSession<T>(event: RequestEvent, work: (session: Session<Data>) => T | Promise<T>): Promise<T> {
  return withSession(manager, event.cookies, work, { request: event.request });
}
