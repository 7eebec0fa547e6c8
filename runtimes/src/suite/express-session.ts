import pg from "pg";
import { ExpressSessionStore } from "../../../src/express-session.ts";
import { endedSessions, expressSessionContract } from "../../../test/contract/express-session-contract.ts";
import type { Group } from "./group.ts";

const TABLE = "CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)";

/** The contract of stores for express-session, on connect-pg-simple's table. */
export function expressSessionGroup(url: string): Group {
  return {
    title: "the contract of stores for express-session",
    async open() {
      const pool = new pg.Pool({ connectionString: url, max: 5 });
      await pool.query(TABLE);
      const expireAll = async (): Promise<void> => {
        await pool.query("UPDATE session SET expire = current_timestamp - interval '1 minute'");
      };
      const promises = Object.entries({ ...expressSessionContract, ...endedSessions }).map(([title, run]) => {
        const promise = async (): Promise<void> => {
          await pool.query("TRUNCATE session");
          const userOf = (session: { passport?: { user?: unknown } }): unknown => session.passport?.user;
          const store = new ExpressSessionStore({ pool, layout: "connect-pg-simple", cleanupInterval: 0, userOf });
          await run({ store, expireAll });
          await store.close();
        };
        return [title, promise] as const;
      });
      return { promises: Object.fromEntries(promises), close: () => pool.end() };
    },
  };
}
