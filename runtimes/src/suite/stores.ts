import { PGlite } from "@electric-sql/pglite";
import pg from "pg";
import postgres from "postgres";
import { type BunSql, PgStore } from "../../../src/index.ts";
import { emptyHost, type OpenClient, queryOf } from "../../../test/contract/postgres-host.ts";
import { storeContract } from "../../../test/contract/store-contract.ts";
import type { Group } from "./group.ts";

/** The store contract with each driver; `url` is an empty database on a real PostgreSQL. */
export function storeGroups(url: string): Group[] {
  return [
    storeGroup("node-postgres", async () => {
      const pool = new pg.Pool({ connectionString: url, max: 5 });
      return { db: pool, close: () => pool.end() };
    }),
    storeGroup("postgres.js", async () => {
      const sql = postgres(url, { max: 5, onnotice: () => {} });
      return { db: sql, query: queryOf(sql), close: () => sql.end({ timeout: 1 }) };
    }),
    ...bunGroups(url),
    storeGroup("PGlite", async () => {
      const db = await PGlite.create();
      return { db, close: () => db.close() };
    }),
  ];
}

/** Bun's own client, on Bun. */
function bunGroups(url: string): Group[] {
  const { Bun } = globalThis as {
    Bun?: { SQL: new (url: string, options: object) => BunSql & { close(): Promise<void> } };
  };
  if (Bun === undefined) return [];
  return [
    storeGroup("Bun.SQL", async () => {
      const sql = new Bun.SQL(url, { max: 5 });
      const query: OpenClient["query"] = async (text, values = []) => ({
        rows: (await sql.unsafe(text, values)) as unknown[],
      });
      return { db: sql, query, close: () => sql.close() };
    }),
  ];
}

function storeGroup(driver: string, connect: () => Promise<OpenClient>): Group {
  return {
    title: `the store contract on ${driver}`,
    async open() {
      const client = await connect();
      await new PgStore(client.db, { cleanupInterval: 0 }).migrate();
      const promises = Object.entries(storeContract).map(([title, run]) => {
        return [title, async () => run(await emptyHost(client))] as const;
      });
      return { promises: Object.fromEntries(promises), close: () => client.close() };
    },
  };
}
