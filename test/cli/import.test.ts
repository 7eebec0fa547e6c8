import { readFileSync } from "node:fs";
import { once } from "node:events";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ExpressSessionStore } from "../../src/express-session.ts";
import { PgStore, SessionManager } from "../../src/index.ts";
import { idOf } from "../../src/lib/core/token.ts";
import { connectPgSimpleTable } from "../support/connect-pg-simple.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { collect, makeProgram, pgstore, pgstoreJson, type Program } from "./run.ts";

const fixtures = readFileSync(new URL("../fixtures/scs-v0.1.1-json.json", import.meta.url), "utf8");
const { cases } = JSON.parse(fixtures) as { cases: { name: string; hex: string }[] };
/** As SCS v2 begins each session: what its type is, in gob. */
const GOB = Buffer.from("26ff8103010102ff820001020108446561646c696e6501ff8400010656616c756573", "hex");
const LIVE = 1500;

let database: TestDatabase;
let pool: pg.Pool;
let program: Program;
beforeAll(async () => {
  [database, program] = await Promise.all([createDatabase({ template: false }), makeProgram()]);
  pool = database.pool();
  await new PgStore(pool, { cleanupInterval: 0 }).migrate();
  await pool.query("CREATE SCHEMA old");
  for (const sql of connectPgSimpleTable('old."their sessions"')) await pool.query(sql);
  await pool.query(
    `INSERT INTO old."their sessions" SELECT 'sid ' || n,
       json_build_object('cookie', json_build_object('originalMaxAge', 60000, 'expires', current_timestamp), 'n', n),
       current_timestamp + CASE WHEN n <= ${LIVE} THEN interval '1 hour' ELSE interval '-1 hour' END
     FROM generate_series(1, ${LIVE + 100}) n`,
  );
  await pool.query(`INSERT INTO old."their sessions" VALUES ('odd', '[1]', current_timestamp + interval '1 hour'),
    ('ended', 'null', current_timestamp + interval '1 hour')`);
});
afterAll(async () => {
  await database?.drop();
});

/** A table of pgstore's own for a test. */
async function target(table: string): Promise<{ store: PgStore; where: string[] }> {
  const store = new PgStore(pool, { table, cleanupInterval: 0 });
  await store.migrate();
  return { store, where: ["--url", database.url, "--table", table] };
}

const simple = ["import", "--from", "connect-pg-simple", "--from-table", "their sessions", "--from-schema", "old"];
const all = {
  read: LIVE + 102,
  expired: 101,
  skipped: 1,
  rows: LIVE + 102,
  found: LIVE,
  verified: true,
  interrupted: false,
};

describe("pgstore import --from connect-pg-simple", () => {
  it("takes over each live session, says what became of each row, and changes nothing the second time", async () => {
    const { store, where } = await target("taken");
    const sessions = new ExpressSessionStore({ store });
    await sessions.set("sid 7", { cookie: {}, n: "newer" } as never);
    await sessions.set("sid 8", { cookie: {} });
    await sessions.destroy("sid 8");
    const first = await pgstoreJson(...simple, ...where);
    const reasons = { "not a session of express-session": 1 };
    expect(first).toEqual({ code: 0, json: { ...all, written: LIVE - 2, present: 2, reasons } });
    expect(await sessions.get("sid 7")).toMatchObject({ n: "newer" });
    expect(await sessions.get("sid 8")).toBeUndefined();
    expect(await sessions.get("sid 9")).toMatchObject({ n: 9, cookie: { originalMaxAge: 60000 } });
    const { code, out } = await pgstore(...simple, ...where);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^read +1,602\nwritten +0\nalready present +1,500\nexpired +101\nskipped +1\n {2}not a session.* 1\nThe counts agree/,
    );
  });

  /** Holds the import up at a row that another transaction is writing just then. */
  async function heldUp(table: string) {
    const { store, where } = await target(table);
    // Read in the order of the sids as text: behind the first page, and before the last.
    const key = idOf("sid 400");
    const blocker = await pool.connect();
    await blocker.query("BEGIN");
    await blocker.query(`INSERT INTO ${table} VALUES ($1, '', current_timestamp)`, [key]);
    const child = program.start([...simple, ...where, "--json"]);
    const said = collect(child);
    const ended = once(child, "close") as Promise<[number | null, string | null]>;
    await expect
      .poll(
        async () => {
          const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
          return (await pool.query(waiting)).rowCount;
        },
        { timeout: 10_000 },
      )
      .toBe(1);
    const release = async (): Promise<void> => {
      await blocker.query("ROLLBACK");
      blocker.release();
    };
    return { store, where, child, said, ended, release };
  }

  it("goes on where a process was killed", async () => {
    const { store, where, child, ended, release } = await heldUp("killed");
    child.kill("SIGKILL");
    await ended;
    await release();
    const before = await store.count();
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(LIVE);
    const { code, json } = await pgstoreJson(...simple, ...where);
    expect(code).toBe(0);
    expect(json).toMatchObject(all);
    // What the killed one had sent may have been carried out after we counted.
    expect(Number(json["present"])).toBeGreaterThanOrEqual(before);
    expect(Number(json["present"]) + Number(json["written"])).toBe(LIVE);
    expect(await store.count()).toBe(LIVE);
  });

  it("stops in good order at Ctrl-C, says how far it came, and goes on later", async () => {
    const { where, child, said, ended, release } = await heldUp("interrupted");
    child.kill("SIGINT");
    await release();
    expect(await ended).toEqual([1, null]);
    const json = JSON.parse(said().out) as Record<string, number>;
    expect(json).toMatchObject({ interrupted: true, verified: false, present: 0 });
    expect(json["written"]).toBeGreaterThan(0);
    expect(json["written"]).toBeLessThan(LIVE);
    const { written = 0 } = json;
    expect((await pgstoreJson(...simple, ...where)).json).toMatchObject({
      ...all,
      present: written,
      written: LIVE - written,
    });
  });
});

describe("pgstore import --from scs", () => {
  const tokenOf = (n: number): string => String(n).padStart(43, "t");
  beforeAll(async () => {
    await pool.query("CREATE TABLE scs (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)");
    const insert = "INSERT INTO scs VALUES ($1, $2, current_timestamp + $3::interval)";
    for (const [n, { hex }] of cases.entries())
      await pool.query(insert, [tokenOf(n), Buffer.from(hex, "hex"), "1 hour"]);
    await pool.query(insert, [tokenOf(1000), GOB, "1 hour"]);
    await pool.query(insert, [tokenOf(1001), Buffer.from('{"data":'), "1 hour"]);
    await pool.query(insert, [tokenOf(1002), Buffer.from("{}"), "-1 hour"]);
    await pool.query(insert, ["short", Buffer.from('{"data":{},"deadline":1}'), "1 hour"]);
  });

  it("puts each row under the hash of its token, its bytes as they are, and skips what it can't read", async () => {
    const { store, where } = await target("from_scs");
    const { code, json } = await pgstoreJson("import", "--from", "scs", "--from-table", "scs", ...where);
    expect(code).toBe(0);
    const [read, written] = [cases.length + 4, cases.length];
    const reasons = { "gob, of SCS v2": 1, "not JSON of SCS v0.1.1": 1, "not a token": 1 };
    expect(json).toMatchObject({
      read,
      written,
      present: 0,
      expired: 1,
      skipped: 3,
      reasons,
      found: written,
      verified: true,
    });
    for (const [n, { hex, name }] of cases.entries()) {
      const found = await store.find(idOf(tokenOf(n)));
      expect(Buffer.from(found?.data ?? []).toString("hex"), name).toBe(hex);
      expect(await store.find(tokenOf(n))).toBeUndefined();
    }
  });

  it("lets a browser go on with its cookie, and shows no token", async () => {
    const { store, where } = await target("cookies");
    const token = tokenOf(2000);
    const deadline = BigInt(Date.now() + 3_600_000) * 1_000_000n;
    const text = `{"data":{"message":"from Go"},"deadline":${deadline}}`;
    await pool.query("CREATE TABLE one (LIKE scs)");
    await pool.query("INSERT INTO one VALUES ($1, $2, current_timestamp + interval '1 hour')", [
      token,
      Buffer.from(text),
    ]);
    const from = ["--from-url", `${database.url}?application_name=other`, "--from-table", "one"];
    const { code, out, err } = await pgstore("import", "--from", "scs", ...from, ...where);
    expect(code).toBe(0);
    expect(out + err).not.toContain(token);
    const manager = new SessionManager<{ message: string }>(store);
    expect((await manager.load(token)).get("message")).toBe("from Go");
  });

  it("refuses to import a table into itself, and what is no such table", async () => {
    const itself = await pgstore("import", "--from", "scs", "--url", database.url);
    expect(itself).toMatchObject({ code: 2, err: expect.stringContaining("the same") as string });
    const { where } = await target("empty");
    const none = await pgstore("import", "--from", "connect-pg-simple", "--from-table", "scs", ...where);
    expect(none).toMatchObject({ code: 4, err: expect.stringContaining("sid, sess, expire") as string });
    const missing = await pgstore("import", "--from", "scs", "--url", database.url, "--table", "nowhere");
    expect(missing).toMatchObject({
      code: 4,
      err: expect.stringMatching(/does not exist: run npx pgstore migrate/) as string,
    });
    expect(await pgstore("import", "--from", "redis", ...where)).toMatchObject({ code: 2 });
    expect(await pgstore("import", ...where)).toMatchObject({ code: 2 });
  });

  it("says so when the counts don't agree", async () => {
    const { where } = await target("disturbed");
    await pool.query(`CREATE VIEW growing AS SELECT token, data, expiry FROM scs
      UNION ALL SELECT 'zz' || g, '', current_timestamp FROM generate_series(1, (SELECT count(*) FROM disturbed)) g`);
    const { code, json } = await pgstoreJson("import", "--from", "scs", "--from-table", "growing", ...where);
    expect(code).toBe(1);
    expect(json).toMatchObject({
      read: cases.length + 4,
      rows: cases.length * 2 + 4,
      verified: false,
      interrupted: false,
    });
    const again = await pgstore("import", "--from", "scs", "--from-table", "growing", ...where);
    expect(again).toMatchObject({ code: 0, out: expect.stringContaining("The counts agree") as string });
  });
});
