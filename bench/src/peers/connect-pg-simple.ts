import { readFileSync } from "node:fs";
import connectPgSimple from "connect-pg-simple";
import session from "express-session";
import type pg from "pg";
import { COOKIE, jsonTextOf } from "../rows.ts";
import type { Peer } from "./peer.ts";

const PgSession = connectPgSimple(session);

/** Creates its table as its own file has it. */
export async function createSessionTable(pool: pg.Pool): Promise<void> {
  await pool.query(readFileSync(new URL(import.meta.resolve("connect-pg-simple/table.sql")), "utf8"));
}

/** Opens the store on its table; it does not prune during a measurement. */
export function openPgSession(pool: pg.Pool, options: { disableTouch?: boolean } = {}): session.Store {
  return new PgSession({ pool, pruneSessionInterval: false, ...options });
}

export function connectPgSimplePeer(pool: pg.Pool, keyOf: (n: number) => string): Peer {
  const store = openPgSession(pool);
  return {
    name: "connect-pg-simple",
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
