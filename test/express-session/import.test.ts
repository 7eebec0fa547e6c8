import { readFileSync } from "node:fs";
import type pg from "pg";
import { afterAll, beforeAll, expect, it, describe } from "vitest";
import { ExpressSessionStore, importConnectPgSimple, type ImportResult } from "../../src/express-session.ts";
import { PgStore } from "../../src/index.ts";
import { connectPgSimpleTable } from "../support/connect-pg-simple.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
let pool: pg.Pool;
let admin: pg.Pool;
let store: PgStore;
beforeAll(async () => {
  database = await createDatabase();
  pool = database.pool();
  store = new PgStore(pool, { cleanupInterval: 0 });
  admin = database.admin({ max: 1 });
  await admin.query("CREATE SCHEMA old");
  for (const sql of connectPgSimpleTable('old."their sessions"')) await admin.query(sql);
  await pool.query(
    `INSERT INTO old."their sessions" SELECT 'sid ' || n,
       json_build_object('cookie', json_build_object('originalMaxAge', 60000, 'expires', current_timestamp), 'n', n),
       current_timestamp + CASE WHEN n <= 1300 THEN interval '1 hour' ELSE interval '-1 hour' END
     FROM generate_series(1, 1400) n`,
  );
  await pool.query(`INSERT INTO old."their sessions" VALUES ('odd', '[1]', current_timestamp + interval '1 hour'),
    ('ended', 'null', current_timestamp + interval '1 hour')`);
});
afterAll(() => database.drop());

/** Runs the code of docs/migrate/from-connect-pg-simple.md; its imports are the sources, and what it defines is given back. */
async function runPage(): Promise<{ imported: number; store: ExpressSessionStore }> {
  const page = readFileSync(new URL("../../docs/migrate/from-connect-pg-simple.md", import.meta.url), "utf8");
  const code = /<!-- example: import -->\s*```js\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  const names = { pool, PgStore, ExpressSessionStore, importConnectPgSimple };
  const AsyncFunction = (async () => {}).constructor as new (
    ...args: string[]
  ) => (...args: unknown[]) => Promise<never>;
  const body = `${code.replace(/^import .*$/gm, "")}\nreturn { imported, store };`;
  return new AsyncFunction(...Object.keys(names), body)(...Object.values(names));
}

const from = { table: "their sessions", schema: "old" };

describe("importConnectPgSimple", () => {
  it("refuses options that are wrong or unknown before it reads anything", async () => {
    const importing = (options: object) => importConnectPgSimple(pool, store, options);
    await expect(importing({ tabel: "sessions" })).rejects.toThrow(/^tabel: there is no such option/);
    await expect(importing({ table: 7 })).rejects.toThrow(/^table: expected a non-empty string, got 7$/);
    await expect(importing({ onProgress: 7 })).rejects.toThrow(/^onProgress: expected a function, got 7$/);
  });

  it("works as the page says", async () => {
    await admin.query(`CREATE TABLE session (LIKE old."their sessions")`);
    await pool.query(`INSERT INTO session SELECT * FROM old."their sessions" WHERE sid = 'sid 5'`);
    const { imported, store: made } = await runPage();
    expect(imported).toBe(1);
    expect(await made.get("sid 5")).toMatchObject({ n: 5 });
    await pool.query("DELETE FROM sessions");
  });

  it("stops between two pages, goes on later, and leaves what is in the store as it is", async () => {
    const stop = new AbortController();
    const stopped = importConnectPgSimple(pool, store, {
      ...from,
      signal: stop.signal,
      onProgress: () => stop.abort(new Error("stopped")),
    });
    await expect(stopped).rejects.toThrow("stopped");
    const target = new ExpressSessionStore({ store });
    // A page, but for the row that is no session.
    expect(await target.length()).toBe(499);

    await target.set("sid 1300", { cookie: {}, n: "newer" } as never);
    await target.set("sid 1299", { cookie: {} });
    await target.destroy("sid 1299");
    const present = (await target.length()) + 1;
    const progress: ImportResult[] = [];
    const result = await importConnectPgSimple(pool, store, { ...from, onProgress: (soFar) => progress.push(soFar) });
    expect(result).toEqual({ imported: 1300 - present, present, unreadable: 1 });
    expect(progress.at(-1)).toEqual(result);
    expect(await target.length()).toBe(1299);
    expect(await target.get("sid 1300")).toMatchObject({ n: "newer" });
    expect(await target.get("sid 1299")).toBeUndefined();
    expect(await target.get("sid 1301")).toBeUndefined();

    const { rows } = await pool.query<{ expire: Date }>(
      `SELECT expire::timestamptz FROM old."their sessions" WHERE sid = 'sid 77'`,
    );
    const found = await target.get("sid 77");
    expect(found).toMatchObject({ n: 77, cookie: { originalMaxAge: 60000 } });
    expect(found?.cookie.expires).toEqual(rows[0]?.expire);
    expect(await importConnectPgSimple(pool, store, from)).toEqual({ imported: 0, present: 1300, unreadable: 1 });
  });
});
