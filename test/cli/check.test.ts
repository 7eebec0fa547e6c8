import type pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from "vitest";
import { PgStore } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { SCS_TABLE } from "../support/global-setup.ts";
import { type PgBouncer, pgbouncerVersion, startPgBouncer } from "../support/pgbouncer.ts";
import { pgstore, pgstoreJson } from "./run.ts";

interface Finding {
  name: string;
  level: string;
  text: string;
  remedy?: string;
  figures?: Record<string, number>;
}

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  pool = database.pool();
  await pool.query(SCS_TABLE);
});
afterAll(() => database.drop());

async function table(name: string): Promise<PgStore> {
  const store = new PgStore(pool, { table: name, cleanupInterval: 0 });
  await store.migrate();
  return store;
}

/** What a check finds, by its name. */
async function check(name: string, ...args: string[]) {
  const { code, json } = await pgstoreJson("check", "--url", database.url, "--table", name, ...args);
  const findings = json["findings"] as Finding[];
  expect(json["ok"]).toBe(code === 0);
  for (const finding of findings) if (finding.level !== "ok") expect(finding.remedy, finding.text).toMatch(/\w/);
  const found = (what: string): Finding | undefined =>
    findings.find(({ name, level }) => name === what && level !== "ok") ?? findings.find(({ name }) => name === what);
  return { code, findings, found };
}

describe("pgstore check", () => {
  it("finds nothing wrong with what migrate makes", async () => {
    await table("fresh");
    const { code, findings } = await check("fresh");
    expect(findings.filter(({ level }) => level !== "ok")).toEqual([]);
    expect(code).toBe(0);
    const names = [
      "table",
      "users",
      "server",
      "indexes",
      "bloat",
      "dead rows",
      "autovacuum",
      "expired",
      "clock",
      "pooler",
    ];
    expect(findings.map(({ name }) => name)).toEqual(names);
    const { out } = await pgstore("check", "--url", database.url, "--table", "fresh");
    expect(out).toMatch(/^"fresh" in PostgreSQL .*\nok {5}table +"fresh" is as it should be\n/);
  });

  it("takes the fence for no row of a session", async () => {
    await table("fenced");
    await pool.query("INSERT INTO fenced (token, data, expiry) VALUES ('pgstore:fence', '', 'epoch')");
    const { code, findings } = await check("fenced", "--deep");
    expect(findings.filter(({ level }) => level !== "ok")).toEqual([]);
    expect(code).toBe(0);
    expect((await pgstore("cleanup", "--url", database.url, "--table", "fenced", "--dry-run")).out).toMatch(/^0 rows /);
  });

  it("recognizes a table of SCS, and says what migrate would add", async () => {
    const { code, found } = await check("sessions");
    expect(code).toBe(0);
    expect(found("users")).toMatchObject({ level: "ok", remedy: "npx pgstore migrate adds them" });
  });

  it("says what is wrong with the table, with another exit code", async () => {
    expect(await check("none")).toMatchObject({ code: 4 });
    await pool.query("CREATE TABLE odd (token text, data bytea NOT NULL, expiry timestamp NOT NULL)");
    const { code, findings } = await check("odd");
    expect(code).toBe(4);
    expect(findings.filter(({ level }) => level === "error").map(({ remedy }) => remedy)).toEqual(
      expect.arrayContaining([
        'ALTER TABLE "odd" ALTER COLUMN expiry TYPE timestamp with time zone',
        'ALTER TABLE "odd" ADD PRIMARY KEY (token)',
      ]),
    );
    await table("halved");
    await pool.query("DROP TABLE halved_users");
    const halved = await check("halved");
    expect(halved.code).toBe(4);
    expect(halved.found("table")).toMatchObject({
      level: "error",
      text: expect.stringContaining('"halved_users"') as string,
    });
  });

  it("notices an index that is not valid, autovacuum that is off, and sessions nobody removes", async () => {
    await table("neglected");
    await pool.query("ALTER TABLE neglected SET (autovacuum_enabled = false)");
    await pool.query("INSERT INTO neglected VALUES ('old', '{}', current_timestamp - interval '2 days')");
    await pool.query(
      "INSERT INTO neglected SELECT 'same' || n, '', current_timestamp + interval '1 h' FROM generate_series(1, 2) n",
    );
    await expect(pool.query("CREATE UNIQUE INDEX CONCURRENTLY twice ON neglected (data)")).rejects.toThrow("twice");
    const { code, found } = await check("neglected");
    expect(code).toBe(1);
    expect(found("indexes")).toMatchObject({ level: "error", remedy: expect.stringContaining("DROP INDEX") as string });
    expect(found("autovacuum")).toMatchObject({ level: "error", text: expect.stringContaining("off") as string });
    expect(found("expired")).toMatchObject({ level: "warn", text: "1 row has expired, 2 d ago", figures: { rows: 1 } });
  });

  it("notices a role that may not write, and one that gets no second connection", async () => {
    await table("guarded");
    const role = `${database.name}_reader`;
    await pool.query(`CREATE ROLE ${role} LOGIN CONNECTION LIMIT 1`);
    try {
      await pool.query(`GRANT SELECT ON guarded, guarded_users, guarded_history TO ${role}`);
      const url = new URL(database.url);
      url.username = role;
      const { json } = await pgstoreJson("check", "--url", url.href, "--table", "guarded");
      expect(json["findings"]).toContainEqual({
        name: "privileges",
        level: "error",
        text: `${role} lacks INSERT, UPDATE, DELETE on table "guarded"`,
        remedy: `GRANT INSERT, UPDATE, DELETE ON "guarded" TO ${role}`,
      });
      expect(json["findings"]).toContainEqual(
        expect.objectContaining({ name: "pooler", level: "error", text: "the server accepts no further connection" }),
      );
    } finally {
      await pool.query(`DROP OWNED BY ${role}`);
      await pool.query(`DROP ROLE ${role}`);
    }
  });

  it("takes connect-pg-simple's table for what it is, and advises nothing that would ruin it", async () => {
    await pool.query(
      `CREATE TABLE theirs (sid varchar NOT NULL COLLATE "default" PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL);
       INSERT INTO theirs VALUES ('a', '{}', current_timestamp - interval '2 days')`,
    );
    const unsaid = await check("theirs");
    expect(unsaid.code).toBe(4);
    const layout = ["--layout", "connect-pg-simple", "--deep"];
    const bare = await check("theirs", ...layout);
    expect(bare.found("indexes")).toMatchObject({ level: "warn", remedy: 'CREATE INDEX ON "theirs" (expire)' });
    await pool.query('CREATE INDEX "IDX_session_expire" ON theirs (expire)');
    const { findings, found } = await check("theirs", ...layout);
    expect(found("table")).toMatchObject({ level: "ok" });
    expect(found("indexes")).toMatchObject({ level: "ok" });
    expect(found("expired")).toMatchObject({ level: "warn", text: "1 row has expired, 2 d ago" });
    expect(JSON.stringify([unsaid, bare, findings])).not.toMatch(/ADD COLUMN|pgstore migrate|"users"/);
    const { code, err } = await pgstore("migrate", "--url", database.url, "--table", "theirs");
    expect(code).toBe(4);
    expect(err).toMatch(/belongs to connect-pg-simple.*layout: "connect-pg-simple"/);
    const columns = await pool.query("SELECT FROM pg_attribute WHERE attrelid = 'theirs'::regclass AND attnum > 0");
    expect(columns.rowCount).toBe(3);
  });

  it("counts as many expired rows as matter, and tells an index that a constraint has from one that only costs", async () => {
    await table("crowded");
    await pool.query(
      "INSERT INTO crowded SELECT 'old' || n, '', current_timestamp - interval '1 day' FROM generate_series(1, 10001) n",
    );
    await pool.query("ALTER TABLE crowded ADD CONSTRAINT once UNIQUE (token)");
    const first = await check("crowded");
    expect(first.found("expired")).toMatchObject({
      level: "warn",
      text: "more than 10,000 rows have expired, the oldest 1 d ago",
    });
    expect(first.found("indexes")).toMatchObject({ level: "ok" });
    await pool.query("CREATE INDEX twin ON crowded (expiry)");
    expect((await check("crowded")).found("indexes")).toMatchObject({
      level: "warn",
      remedy: "DROP INDEX CONCURRENTLY twin",
    });
  });

  it("compares the clocks", async () => {
    await table("timely");
    for (const [offset, text] of [
      [-3_600_000, "1 h ahead of"],
      [7_200_000, "2 h behind"],
    ] as const) {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + offset });
      try {
        const { code, found } = await check("timely");
        expect([code, found("clock")?.level, found("clock")?.text]).toEqual([1, "warn", expect.stringContaining(text)]);
      } finally {
        vi.useRealTimers();
      }
    }
  });

  it("warns of a schema of the search path in which every role may create", async () => {
    await table("exposed");
    await pool.query("GRANT CREATE ON SCHEMA public TO PUBLIC");
    try {
      const { code, found } = await check("exposed");
      expect(code).toBe(1);
      expect(found("schema")).toMatchObject({
        level: "warn",
        remedy: "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
      });
    } finally {
      await pool.query("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    }
  });

  it("--deep reads every row", async () => {
    const store = await table("deep");
    await store.create("a", new Uint8Array(5000), new Date(Date.now() + 60_000), { owner: { userId: "ada" } });
    await pool.query(
      `INSERT INTO deep SELECT 'row ' || n, '{}', current_timestamp + interval '1 hour' FROM generate_series(1, 10500) n`,
    );
    await pool.query(
      "INSERT INTO deep VALUES ('i', '{}', 'infinity'), ('m', '{}', '-infinity'), ('e', '', 'tomorrow')",
    );
    const { code, findings } = await check("deep", "--deep");
    expect(code).toBe(1);
    expect(findings.filter(({ name }) => name === "rows").map(({ text }) => text)).toEqual([
      "10,504 rows, 10,503 live, 1 logged in. The largest has 4.88 kB of data",
      "rows that never expire: 1",
      "rows whose expiry is -infinity, which pgstore never writes: 1",
      "live rows without data, which pgstore never writes: 1",
    ]);
    expect(findings.find(({ name }) => name === "pgstattuple")?.level).toBe("ok");
  });

  it("--deep asks pgstattuple where it is installed", async () => {
    await pool.query("CREATE EXTENSION pgstattuple SCHEMA pg_catalog");
    await table("counted");
    const { found } = await check("counted", "--deep");
    expect(found("pgstattuple")?.text).toMatch(/^0.0 % of the table is dead rows, 0.0 % is free$/);
    await pool.query(
      `CREATE TABLE parted (token text PRIMARY KEY, data bytea NOT NULL, expiry timestamptz NOT NULL) PARTITION BY HASH (token);
       CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
       CREATE INDEX ON parted (expiry);
       INSERT INTO parted VALUES ('a', '{}', current_timestamp + interval '1 hour')`,
    );
    const parted = await check("parted", "--deep");
    expect(parted.found("pgstattuple")?.text).toMatch(/^0.0 % of the table is dead rows, 99.\d % is free$/);
  });
});

describe("a partitioned table", () => {
  it("has the figures of its leaves, is cleaned up, and is fine", async () => {
    await pool.query(
      `CREATE TABLE split (token text PRIMARY KEY, data bytea NOT NULL, expiry timestamptz NOT NULL) PARTITION BY HASH (token);
       CREATE TABLE split_0 PARTITION OF split FOR VALUES WITH (MODULUS 2, REMAINDER 0);
       CREATE TABLE split_1 PARTITION OF split FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY HASH (token);
       CREATE TABLE split_10 PARTITION OF split_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
       CREATE TABLE split_11 PARTITION OF split_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1)`,
    );
    const store = await table("split");
    await pool.query(
      `INSERT INTO split (token, data, expiry, user_id, created) SELECT 'row ' || n, convert_to(repeat('x', 200), 'UTF8'),
         current_timestamp + interval '1 hour', 'user ' || n % 10, current_timestamp FROM generate_series(1, 1000) n;
       INSERT INTO split SELECT 'dead ' || n, '{}', current_timestamp - interval '1 minute' FROM generate_series(1, 50) n`,
    );
    const never = await store.operations?.stats();
    expect(never).toMatchObject({ live: 1000, users: 10, expired: 50 });
    await pool.query("ANALYZE split_0, split_10, split_11");
    const { rows } = await pool.query<{ table: number; indexes: number }>(
      `SELECT sum(pg_table_size(c))::int AS table, sum(pg_indexes_size(c))::int AS indexes FROM
         unnest(ARRAY['split_0', 'split_10', 'split_11']::regclass[]) c`,
    );
    const { json } = await pgstoreJson("stats", "--url", database.url, "--table", "split");
    expect(json).toMatchObject({ live: 1000, users: 10, tableBytes: rows[0]?.table, indexBytes: rows[0]?.indexes });
    const { code, findings, found } = await check("split");
    expect(findings.filter(({ level }) => level !== "ok")).toEqual([]);
    expect(code).toBe(0);
    expect(found("bloat")?.text).toMatch(/for about 1,050 rows$/);
    expect(found("indexes")?.text).toMatch(/^4 indexes, [1-9]/);
    expect(await store.deleteExpired()).toBe(50);
    await pool.query("ALTER TABLE split_10 SET (autovacuum_enabled = false)");
    expect((await check("split")).found("autovacuum")?.remedy).toContain("ALTER TABLE each of the 3 partitions of");
  });
});

describe.skipIf(pgbouncerVersion() === undefined)("pgstore check through PgBouncer", () => {
  let bouncer: PgBouncer;
  afterEach(() => bouncer.stop());

  it.each<[string, Record<string, string>, string, string]>([
    ["transaction mode, without prepared statements", {}, "warn", "prepared statements do not work"],
    ["transaction mode with one connection", { default_pool_size: "1" }, "ok", "in transaction mode with a single"],
    ["session mode", { pool_mode: "session", default_pool_size: "6" }, "ok", "in session mode"],
    ["session mode, full", { pool_mode: "session", default_pool_size: "2" }, "ok", "in session mode"],
  ])("tells %s", async (_, settings, level, text) => {
    bouncer = await startPgBouncer(inject("databaseUrl"), settings);
    const { code, json } = await pgstoreJson("check", "--url", bouncer.through(database.url));
    const pooler = (json["findings"] as Finding[]).find(({ name }) => name === "pooler");
    expect(pooler).toMatchObject({ level, text: expect.stringContaining(text) as string });
    if (level === "warn") expect(pooler?.remedy).toContain("max_prepared_statements");
    expect(code).toBe(level === "ok" ? 0 : 1);
  });
});
