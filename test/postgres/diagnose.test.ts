import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Finding, PgStore } from "../../src/index.ts";
import { checkPooler } from "../../src/lib/postgres/check/pooler.ts";
import { type IndexStats, judgeTable, type TableStats } from "../../src/lib/postgres/check/table.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { openPglite } from "../support/pglite.ts";

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  pool = database.pool();
});
afterAll(() => database.drop());

const data = new Uint8Array([123, 125]);

async function makeStore(table: string): Promise<PgStore> {
  const store = new PgStore(pool, { table, cleanupInterval: 0 });
  await store.migrate();
  return store;
}

const of = (findings: Finding[], subject: string): Finding[] => findings.filter((one) => one.subject === subject);

describe("PgStore.diagnose", () => {
  it("resolves to findings whose figures need no parsing", async () => {
    const store = await makeStore("figures");
    await store.create("old", data, new Date(Date.now() - 7_200_000));
    const findings = await store.diagnose();
    // PostgreSQL 14 lets everybody create tables in schema public, which is a finding of its own.
    const subjects = findings.map(({ subject }) => subject).filter((subject) => subject !== "schema");
    expect(subjects).toEqual([
      "table",
      "users",
      "server",
      "indexes",
      "bloat",
      "dead rows",
      "autovacuum",
      "expired",
      "clock",
    ]);
    const [expired] = of(findings, "expired");
    expect(expired).toMatchObject({ severity: "warn", text: "1 row has expired, 2 h ago" });
    expect(expired?.figures?.["rows"]).toBe(1);
    expect(expired?.figures?.["oldestMs"]).toBeGreaterThan(7_000_000);
    expect(of(findings, "indexes")[0]?.figures).toEqual({ indexes: 4, bytes: expect.any(Number) as number });
    expect(of(findings, "server")[0]?.figures?.["version"]).toBeGreaterThan(140_000);
    for (const { figures } of findings) for (const value of Object.values(figures ?? {})) expect(value).not.toBeNaN();
  });

  it("gives whole figures although the connection shortens floats", async () => {
    const store = await makeStore("floats");
    await pool.query(
      "INSERT INTO floats SELECT 'row ' || n, '{}', current_timestamp + interval '1 hour' FROM generate_series(1, 12345) n",
    );
    await pool.query("ALTER TABLE floats SET (autovacuum_enabled = true, fillfactor = 95); ANALYZE floats");
    const db = database.pool({ max: 1, options: "-c extra_float_digits=-15" });
    const short = new PgStore(db, { table: "floats", cleanupInterval: 0 });
    const figuresOf = async (one: PgStore, subject: string) => of(await one.diagnose(), subject)[0]?.figures;
    expect(await figuresOf(short, "autovacuum")).toMatchObject({ thresholdRows: 50 + 0.2 * 12_345 });
    expect(await figuresOf(short, "bloat")).toEqual(await figuresOf(store, "bloat"));
  });

  it("holds every problem that check puts into a sentence", async () => {
    const store = await makeStore("broken");
    await pool.query("CREATE INDEX twin ON broken (expiry); DROP TABLE broken_users");
    const findings = await store.diagnose();
    const sentences = findings.map(({ text, remedy }) => `${text}: ${remedy}`);
    const [missing = ""] = await store.check();
    expect(missing).toBe('table "broken_users" does not exist: run store.migrate()');
    expect(sentences).toContain(missing);
    await store.migrate();
    const [twin = ""] = await store.check();
    expect(twin).toContain("twin");
    expect((await store.diagnose()).map(({ text, remedy }) => `${text}: ${remedy}`)).toContain(twin);
  });

  it("reads every row when it is to go deep, tells how far it is, and stops when it is told to", async () => {
    const store = await makeStore("deep");
    await pool.query(
      "INSERT INTO deep SELECT 'row ' || n, '{}', current_timestamp + interval '1 hour' FROM generate_series(1, 10500) n",
    );
    const seen: number[] = [];
    const findings = await store.diagnose({ deep: true, onProgress: ({ rows }) => seen.push(rows) });
    expect(seen).toEqual([10_000, 10_500]);
    expect(of(findings, "rows").map(({ figures }) => figures)).toEqual([
      { rows: 10_500, live: 10_500, loggedIn: 0, largestBytes: 2 },
    ]);
    const controller = new AbortController();
    const stopped = store.diagnose({ deep: true, signal: controller.signal, onProgress: () => controller.abort() });
    await expect(stopped).rejects.toThrow("aborted");
    await expect(store.diagnose({ depth: 1 } as never)).rejects.toThrow("depth: there is no such option");
  });

  it("works on an embedded database", async () => {
    const db = await openPglite();
    const store = new PgStore(db, { cleanupInterval: 0 });
    await store.migrate();
    const findings = await store.diagnose({ deep: true });
    expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(of(findings, "rows")[0]?.figures?.["rows"]).toBe(0);
    await store.close();
    await db.close();
  }, 120_000);
});

const MIB = 1024 * 1024;
const HOUR = 3_600_000;

/** A table of a million rows of 200 bytes, in good health. */
const healthy: TableStats = {
  rows: 1_000_000,
  bytes: 230 * MIB,
  rowWidth: 200,
  fillfactor: 100,
  dead: 50_000,
  threshold: 200_050,
  isAutovacuumOn: true,
  parts: 1,
  sinceVacuumMs: HOUR,
  age: 1_000_000,
  freezeMaxAge: 200_000_000,
  oldestTransactionMs: 0,
  indexes: [],
};
const index: IndexStats = {
  name: "sessions_pkey",
  bytes: 75 * MIB,
  rows: 1_000_000,
  width: 44,
  columns: "token",
};

describe("judgeTable", () => {
  /** What it finds wrong. */
  const wrong = (stats: Partial<TableStats>): string[] =>
    judgeTable('"sessions"', { ...healthy, ...stats })
      .filter(({ severity }) => severity !== "ok")
      .map(({ subject, severity, remedy }) => `${severity} ${subject}: ${remedy}`);

  it("finds nothing wrong with a table in good health, nor with one that was never analysed", () => {
    expect(wrong({ indexes: [index] })).toEqual([]);
    const young = { rows: -1, rowWidth: 0, dead: 0, sinceVacuumMs: undefined };
    expect(wrong({ ...young, indexes: [{ ...index, rows: -1, width: 0 }] })).toEqual([]);
    expect(wrong({ rows: 0, bytes: 8192, dead: 3 })).toEqual([]);
  });

  it.each<[string, Partial<TableStats>, RegExp]>([
    ["a bloated table", { bytes: 600 * MIB }, /^warn bloat: .*pg_repack/],
    [
      "a bloated index",
      { indexes: [{ ...index, bytes: 400 * MIB }] },
      /^warn indexes: REINDEX INDEX CONCURRENTLY sessions_pkey/,
    ],
    ["dead rows", { dead: 390_000 }, /^warn dead rows: VACUUM/],
    [
      "autovacuum that comes too late",
      { dead: 150_000, threshold: 50_000 },
      /^warn autovacuum: ALTER TABLE "sessions" SET/,
    ],
    ["autovacuum that is off", { isAutovacuumOn: false }, /^error autovacuum: .*RESET/],
    ["a transaction that stays open", { oldestTransactionMs: 2 * HOUR }, /^warn autovacuum: end it/],
    ["rows that nobody freezes", { age: 400_000_000 }, /^error autovacuum: VACUUM \(FREEZE\)/],
  ])("notices %s", (_, stats, expected) => {
    expect(wrong(stats)).toEqual([expect.stringMatching(expected)]);
  });

  it("leaves a little bloat alone, and a fillfactor that asks for room", () => {
    expect(wrong({ rows: 1000, bytes: 5 * MIB, dead: 0 })).toEqual([]);
    expect(wrong({ bytes: 460 * MIB, fillfactor: 50 })).toEqual([]);
  });
});

describe("checkPooler", () => {
  it("looks for no pooler before an embedded database", async () => {
    expect(await checkPooler(undefined)).toMatchObject({ severity: "ok", text: "none: the database is embedded" });
  });
});
