import { getCookie, getRequest, setCookie, setResponseHeader } from "@tanstack/react-start/server";
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

const jar: Parameters<typeof withSession>[1] = {
  get: getCookie,
  set(name, value, options) {
    setCookie(name, value, options);
    // TanStack Start leaves caching to the application: no shared cache may store a response that sets a cookie.
    setResponseHeader("Cache-Control", "private, no-store");
  },
};

/** Opens the request's session for a server function or a server route. It is stored when `work` returns or throws a redirect. */
export function inSession<T>(work: (session: Session<Data>) => T | Promise<T>): Promise<T> {
  return withSession(manager, jar, work, { request: getRequest() });
}
