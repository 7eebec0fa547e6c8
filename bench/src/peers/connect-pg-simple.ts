import { readFileSync } from "node:fs";
import connectPgSimple from "connect-pg-simple";
import session from "express-session";
import type pg from "pg";
import { ExpressSessionStore } from "../pgstore.ts";
import { COOKIE, jsonTextOf } from "../rows.ts";
import type { Peer } from "./peer.ts";

const PgSession = connectPgSimple(session);

/** Creates its table, or several of the same kind, as its own file has it. */
export async function createSessionTable(pool: pg.Pool, table = "session"): Promise<void> {
  const sql = readFileSync(new URL(import.meta.resolve("connect-pg-simple/table.sql")), "utf8");
  await pool.query(sql.replaceAll("session", table));
}

/** Opens the store on its table; it does not prune during a measurement. */
export function openPgSession(pool: pg.Pool, options: { disableTouch?: boolean } = {}): session.Store {
  return new PgSession({ pool, pruneSessionInterval: false, ...options });
}

export const DROP_IN = "pgstore's drop-in";

/** pgstore, on that package's own table. */
export function openDropIn(pool: pg.Pool, table = "session"): ExpressSessionStore {
  return new ExpressSessionStore({ pool, table, layout: "connect-pg-simple", cleanupInterval: 0 });
}

/** A store of express-session, asked as express-session does. */
export function expressSessionPeer(name: string, store: session.Store, keyOf: (n: number) => string): Peer {
  return {
    name,
    find: (n, version) =>
      new Promise((resolve, reject) => {
        store.get(keyOf(n), (error, found) => {
          if (error) reject(error as Error);
          else resolve((found as { text?: string } | null)?.text === jsonTextOf(n, version));
        });
      }),
    save: (n, version) =>
      new Promise((resolve, reject) => {
        const data = { cookie: COOKIE, text: jsonTextOf(n, version) } as unknown as session.SessionData;
        store.set(keyOf(n), data, (error) => {
          if (error) reject(error as Error);
          else resolve();
        });
      }),
  };
}
