import type pg from "pg";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { PgStore } from "../../src/index.ts";
import { revoke } from "../../src/lib/cli/revoke.ts";
import { USER_COLUMNS } from "../../src/lib/postgres/sql/tables.ts";
import { connectPgSimpleTable } from "../support/connect-pg-simple.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { SCS_TABLE } from "../support/global-setup.ts";
import { pgstore, pgstoreJson } from "./run.ts";

const TABLE = `it's a "table"`;
const SCHEMA = `her "schema"`;
const QUOTED = `"her ""schema"""."it's a ""table"""`;

let database: TestDatabase;
let pool: pg.Pool;
let store: PgStore;
/** What each command gets here. */
let where: string[];
beforeAll(async () => {
  database = await createDatabase({ template: false });
  pool = database.pool();
  await pool.query(SCS_TABLE);
  store = new PgStore(pool, { table: TABLE, schema: SCHEMA, cleanupInterval: 0 });
  where = ["--url", database.url, "--table", TABLE, "--schema", SCHEMA];
  expect(await pgstore("migrate", ...where)).toMatchObject({ code: 0, err: "" });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await store.close();
  await database.drop();
});

const soon = (): Date => new Date(Date.now() + 3_600_000);
const data = new Uint8Array([123, 125]);
let made = 0;

/** Makes live sessions of a user, the oldest first. */
async function sessionsOf(userId: string, many: number, userAgent?: string): Promise<string[]> {
  const ids = Array.from({ length: many }, () => `${String(made++).padStart(6, "0")}${"x".repeat(37)}`);
  for (const id of ids) await store.create(id, data, soon(), { owner: { userId, ip: "10.0.0.1", userAgent } });
  return ids;
}

describe("pgstore migrate", () => {
  it("makes the table, whatever it is called, and is done when it is there", async () => {
    expect(await store.check()).toEqual([]);
    const { code, json } = await pgstoreJson("migrate", ...where);
    expect(code).toBe(0);
    expect(json).toEqual({
      table: QUOTED,
      location: expect.stringContaining(database.name) as string,
      migrated: true,
      steps: [],
    });
  });

  it("says what it did, and that there was nothing to do", async () => {
    const run = (...args: string[]) => pgstore("migrate", "--url", database.url, "--table", ...args);
    await pool.query(SCS_TABLE.replaceAll("sessions", "grown"));
    await pool.query("DROP INDEX IF EXISTS grown_expiry_idx");
    const grown = await run("grown");
    const added = USER_COLUMNS.map(({ name }) => name);
    expect(grown.out.replace(/ in PostgreSQL \S+/, "")).toBe(
      [
        '  + created table "grown_users"',
        '  + created table "grown_history"',
        `  + added ${added.length} columns to "grown": ${added.join(", ")}`,
        '  + created index grown_expiry_idx on "grown"',
        '  + created index grown_user_id_created_token_idx on "grown"',
        '  + created index grown_tags_idx on "grown"',
        'Table "grown" is up to date.\n',
      ].join("\n"),
    );
    expect((await run("grown")).out).toMatch(/is up to date\. There was nothing to do\.\n$/);
    const fresh = await run("fresh");
    expect(fresh.out).toMatch(/^ {2}\+ created table "fresh"\n/);
    expect(fresh.out).not.toMatch(/column|_pkey/);
    // Only who shares a schema with the tables of an ORM needs the advice.
    expect(fresh.out).toContain("drizzle-kit push");
    expect((await run("fresh", "--schema", "own")).out).not.toContain("drizzle-kit");
  });

  it("--print shows SQL that makes the same, without a database", async () => {
    const { code, out } = await pgstore("migrate", "--print", "--table", TABLE, "--schema", "by print");
    expect(code).toBe(0);
    expect(out).toContain("CREATE INDEX CONCURRENTLY");
    await pool.query(out);
    expect(await new PgStore(pool, { table: TABLE, schema: "by print", cleanupInterval: 0 }).check()).toEqual([]);
    const { json } = await pgstoreJson("migrate", "--print", "--table", TABLE, "--schema", "by print");
    expect(out).toContain(json["sql"]);
  });

  it("--print shows the documented SQL, which leaves migrate nothing to do", async () => {
    const { json } = await pgstoreJson("migrate", "--print");
    const page = readFileSync(new URL("../../docs/databases/schema.md", import.meta.url), "utf8");
    expect(page).toContain(`\`\`\`sql\n${String(json["sql"])};\n\`\`\``);
    const shape = async (table: string): Promise<unknown> => {
      const { rows } = await pool.query(
        `SELECT replace(c.relname, $1, '') AS relation, pg_get_indexdef(c.oid) IS NOT NULL AS index,
           replace(COALESCE(pg_get_indexdef(c.oid), ''), $1, '') AS definition,
           (SELECT array_agg(a.attname || ' ' || format_type(a.atttypid, -1) || a.attnotnull || a.attcollation || COALESCE(pg_get_expr(d.adbin, d.adrelid), '') ORDER BY a.attnum)
            FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = c.oid AND a.attnum > 0)
         FROM pg_class c WHERE c.relname LIKE $1 || '%' AND c.relkind IN ('r', 'i') ORDER BY 1`,
        [table],
      );
      return rows;
    };
    const printed = await pgstoreJson("migrate", "--print", "--table", "by_tool");
    for (let times = 0; times < 2; times++) await pool.query(String(printed.json["sql"]));
    const made = await shape("by_tool");
    const byTool = new PgStore(pool, { table: "by_tool", cleanupInterval: 0 });
    expect(await byTool.check()).toEqual([]);
    await byTool.migrate();
    expect(await shape("by_tool")).toEqual(made);
    await new PgStore(pool, { table: "by_code", cleanupInterval: 0 }).migrate();
    expect(await shape("by_code")).toEqual(made);
  });

  it("--print shows steps by hand that leave nothing of the kind to do", async () => {
    const { json } = await pgstoreJson("migrate", "--print", "--table", "by hand");
    const steps = json["byHand"] as string[];
    await pool.query(
      `CREATE TABLE "by hand" (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)`,
    );
    for (const step of steps) await pool.query(step);
    const indexes = "SELECT count(*)::int AS count FROM pg_index WHERE indrelid = '\"by hand\"'::regclass";
    expect((await pool.query(indexes)).rows).toEqual([{ count: 4 }]);
    expect(await pgstore("migrate", "--url", database.url, "--table", "by hand")).toMatchObject({ code: 0 });
    expect((await pool.query(indexes)).rows).toEqual([{ count: 4 }]);
  });

  it("leaves another table of that name alone", async () => {
    await pool.query("CREATE TABLE other (token int)");
    const { code, err } = await pgstore("migrate", "--url", database.url, "--table", "other");
    expect(code).toBe(4);
    expect(err).toMatch(/^pgstore: column token of table "other" is integer, not text.*\n$/);
  });
});

describe("pgstore stats", () => {
  it("shows the store's figures", async () => {
    await sessionsOf("stats", 3);
    await store.create("gone", data, new Date(Date.now() - 60_000));
    const { code, json } = await pgstoreJson("stats", ...where);
    expect(code).toBe(0);
    const stats = await store.operations?.stats();
    expect(stats?.live).toBeGreaterThanOrEqual(3);
    expect(json).toMatchObject({ live: stats?.live, users: stats?.users, expired: stats?.expired, cleanup: null });
    const { out } = await pgstore("stats", ...where);
    expect(out).toMatch(new RegExp(`^Live sessions +${stats?.live}\n`));
    expect(out).toContain("none on record");
  });

  it("says that there are more expired rows than are counted", async () => {
    const backlog = new PgStore(pool, { table: "backlog", cleanupInterval: 0 });
    await backlog.migrate();
    await pool.query(
      "INSERT INTO backlog (token, data, expiry) SELECT n::text, '', current_timestamp - interval '1 h' FROM generate_series(1, 10001) n",
    );
    const { out } = await pgstore("stats", "--url", database.url, "--table", "backlog");
    expect(out).toMatch(/^Expired, to be removed +10,000 or more$/m);
  });

  it("says what is unknown on a table of SCS", async () => {
    const { json } = await pgstoreJson("stats", "--url", database.url);
    expect(json).toMatchObject({ loggedIn: null, users: null });
    expect((await pgstore("stats", "--url", database.url)).out).toContain("unknown: run npx pgstore migrate");
  });

  it("tells of the last cleanup", async () => {
    await pool.query(
      `INSERT INTO "her ""schema"""."it's a ""table""_history" (at, cleaned, removed, took)
       VALUES ('2026-02-03', '2026-02-03 04:05:06Z', 1234, 2500)`,
    );
    const { json } = await pgstoreJson("stats", ...where);
    expect(json["cleanup"]).toEqual({ at: "2026-02-03T04:05:06.000Z", removed: 1234, took: 2500 });
    expect((await pgstore("stats", ...where)).out).toMatch(
      /Last cleanup +2026-02-03 04:05:06Z, 1,234 removed in 3 s\n/,
    );
  });
});

describe("pgstore list", () => {
  it("lists a user's sessions by page, ids shortened, the cursor included", async () => {
    const ids = await sessionsOf("Ada Lovelace", 5, "Evil\u001B[31m\u202Eagent");
    const seen: string[] = [];
    let after: string[] = [];
    for (let pages = 1; pages <= 3; pages++) {
      const { code, json } = await pgstoreJson("list", "--user", "Ada Lovelace", "--limit", "2", ...after, ...where);
      expect(code).toBe(0);
      const sessions = json["sessions"] as Record<string, string>[];
      for (const session of sessions)
        expect(session).toMatchObject({ ip: "10.0.0.1", created: expect.any(String) as string });
      seen.push(...sessions.map(({ id = "" }) => id));
      after = ["--after", String(json["next"])];
      if (pages === 3) expect(json["next"]).toBe(null);
    }
    expect(seen).toEqual(ids.toReversed().map((id) => id.slice(0, 12)));
    const { out } = await pgstore("list", "--user", "Ada Lovelace", "--limit", "4", ...where);
    for (const id of ids) expect(out).not.toContain(id.slice(0, 13));
    expect(out).toContain("Evil\\u{1b}[31m\\u{202e}agent");
    expect(out).toMatch(/\nMore: --after \d+\.\d{6}x{6}\n$/);
  });

  it("says that there is none, and refuses what is no cursor, no limit, no user", async () => {
    expect(await pgstore("list", "--user", "nobody", ...where)).toEqual({
      code: 0,
      out: "No live session.\n",
      err: "",
    });
    for (const wrong of [
      ["--after", "x"],
      ["--after", "9999999999999999.x"],
      ["--limit", "0"],
      ["--limit", "1e3"],
    ]) {
      const { code, err } = await pgstore("list", "--user", "nobody", ...wrong, ...where);
      expect([code, err]).toEqual([2, expect.stringMatching(/^pgstore: .*--\w+.*\n$/)]);
    }
    expect(await pgstore("list", "--user", "", ...where)).toMatchObject({ code: 2 });
  });

  it("says what a table without the columns needs", async () => {
    const { code, err } = await pgstore("list", "--user", "ada", "--url", database.url);
    expect(code).toBe(4);
    expect(err).toContain("npx pgstore migrate");
  });
});

describe("pgstore dashboard", () => {
  it("says that a port is taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    const { code, err } = await pgstore("dashboard", "--port", String(port), ...where);
    expect([code, err]).toEqual([2, `pgstore: port ${port} is already in use. Choose another with --port\n`]);
    taken.close();
  });
});

describe("pgstore revoke", () => {
  const live = async (userId: string): Promise<string[]> =>
    ((await store.users?.list(userId, 100)) ?? []).map(({ id: token }) => token);

  it("ends the sessions of a user but one, told by its beginning", async () => {
    const [first = ""] = await sessionsOf("Grace", 3);
    const { code, json } = await pgstoreJson(
      "revoke",
      "--user",
      "Grace",
      "--except",
      first.slice(0, 12),
      "--yes",
      ...where,
    );
    expect([code, json]).toEqual([0, { ended: 2, interrupted: false }]);
    expect(await live("Grace")).toEqual([first]);
    const wrong = await pgstore("revoke", "--user", "Grace", "--except", "nonesuch", "--yes", ...where);
    expect([wrong.code, await live("Grace")]).toEqual([2, [first]]);
    expect(await pgstore("revoke", "--user", "Grace", "--yes", ...where)).toMatchObject({
      code: 0,
      out: "1 session revoked.\n",
    });
  });

  it("ends, or spares, a session whose id was listed before it got another", async () => {
    const renewed = async (id: string): Promise<string> => {
      const row = await store.find(id);
      const data = row?.data ?? new Uint8Array();
      const owner = { userId: "Joan", goesOn: true };
      expect(await store.renew(id, `${id} anew`, data, data, row?.expiry ?? new Date(), { owner })).toBe(true);
      return `${id} anew`;
    };
    const [first = "", second = "", third = ""] = await sessionsOf("Joan", 3);
    const now = [await renewed(first), await renewed(second), await renewed(third)];
    const wrong = await pgstore("revoke", "--user", "Grace", "--except", third, "--yes", ...where);
    expect([wrong.code, await live("Joan")]).toEqual([2, now.toReversed()]);
    expect(await pgstore("revoke", "--id", first, "--yes", ...where)).toMatchObject({ code: 0 });
    expect(await live("Joan")).toEqual([now[2], now[1]]);
    expect(await pgstore("revoke", "--user", "Joan", "--except", third, "--yes", ...where)).toMatchObject({ code: 0 });
    expect(await live("Joan")).toEqual([now[2]]);
    const other = await pgstore("revoke", "--id", third, "--user", "Grace", "--yes", ...where);
    expect([other.code, await live("Joan")]).toEqual([1, [now[2]]]);
    expect(await pgstore("revoke", "--id", third, "--user", "Joan", "--yes", ...where)).toMatchObject({ code: 0 });
    expect(await live("Joan")).toEqual([]);
  });

  it("ends one session, by its id, or by its beginning and its user", async () => {
    const [first = "", second = "", third = ""] = await sessionsOf("Hedy", 3);
    expect(await pgstore("revoke", "--id", first, "--yes", ...where)).toMatchObject({ code: 0 });
    expect(await store.lookUp(first)).toBe("revoked");
    const short = second.slice(0, 12);
    expect(await pgstore("revoke", "--id", short, "--yes", ...where)).toMatchObject({ code: 1 });
    expect(await pgstore("revoke", "--id", short, "--user", "Grace", "--yes", ...where)).toMatchObject({ code: 1 });
    const several = await pgstore("revoke", "--id", second.slice(0, 3), "--user", "Hedy", "--yes", ...where);
    expect(several).toMatchObject({ code: 2, err: expect.stringContaining("2 sessions of this user begin") as string });
    expect(await live("Hedy")).toEqual([third, second]);
    expect(await pgstore("revoke", "--id", short, "--user", "Hedy", "--yes", ...where)).toMatchObject({ code: 0 });
    expect(await pgstore("revoke", "--id", third, "--user", "Hedy", "--yes", ...where)).toMatchObject({ code: 0 });
    expect(await live("Hedy")).toEqual([]);
  });

  it("takes an empty id for none, not for the beginning of the only one", async () => {
    const ids = await sessionsOf("Rosalind", 1);
    for (const option of ["--id", "--except"]) {
      const { code, err } = await pgstore("revoke", "--user", "Rosalind", option, "", "--yes", ...where);
      expect([code, err]).toEqual([2, expect.stringContaining("expected an id")]);
    }
    expect(await live("Rosalind")).toEqual(ids);
  });

  it("ends all, page by page, and a late write brings none back", async () => {
    await sessionsOf("Many", 3);
    await pool.query(
      `INSERT INTO ${QUOTED} (token, data, expiry)
       SELECT 'all ' || n, '{}', current_timestamp + interval '1 hour' FROM generate_series(1, 2345) n`,
    );
    const before = await store.count();
    const { code, json } = await pgstoreJson("revoke", "--all", "--yes", ...where);
    expect([code, json]).toEqual([0, { ended: before, interrupted: false }]);
    expect(await store.count()).toBe(0);
    expect(await store.upsert("all 7", data, soon())).toBe(false);
    expect(await store.replace("all 8", data, data, soon())).toBe(false);
  });

  it("asks before it ends any, by a question that says which", async () => {
    const [id = "", other = ""] = await sessionsOf("Evil\u001B[31m", 2);
    await pool.query(`ANALYZE ${QUOTED}`);
    const common = { url: database.url, table: TABLE, schema: SCHEMA };
    const user = "Evil\u001B[31m";
    for (const [which, question] of [
      [{ all: true }, /^Revoke all sessions in .* in PostgreSQL .*\? That ends [\d,]+ live sessions\.$/],
      [{ id }, new RegExp(`^Revoke session ${id.slice(0, 12)}\\?$`)],
      [{ user }, /^Revoke 2 live sessions of Evil\\u\{1b\}\[31m\?$/],
      [{ user, except: other }, new RegExp(`^Revoke 1 live session of Evil.* except ${other.slice(0, 12)}\\?$`)],
    ] as const) {
      const asked: string[] = [];
      const no = (text: string): Promise<boolean> => Promise.resolve((asked.push(text), false));
      const answer = await revoke({ ...common, ...which }, no);
      expect(answer).toEqual({ text: "Nothing was revoked.", json: { ended: 0, interrupted: false }, exitCode: 1 });
      expect(asked).toEqual([expect.stringMatching(question)]);
    }
    expect(await live(user)).toEqual([other, id]);
    const yes = (): Promise<boolean> => Promise.resolve(true);
    expect(await revoke({ ...common, user, except: other }, yes)).toMatchObject({ json: { ended: 1 } });
  });

  it("asks what exactly, and does nothing when nobody can be asked", async () => {
    await sessionsOf("Rosalind", 1);
    for (const wrong of [
      [],
      ["--all", "--user", "Rosalind"],
      ["--all", "--except", "x"],
      ["--id", "x", "--except", "x", "--user", "Rosalind"],
    ]) {
      expect(await pgstore("revoke", ...wrong, "--yes", ...where)).toMatchObject({ code: 2, out: "" });
    }
    expect(await live("Rosalind")).toHaveLength(1);
  });
});

describe("pgstore cleanup", () => {
  it("counts, removes up to a limit, and then all that has expired", async () => {
    await store.deleteExpired();
    await pool.query(
      `INSERT INTO ${QUOTED} (token, data, expiry)
       SELECT 'old ' || n, '{}', current_timestamp - interval '1 hour' FROM generate_series(1, 1234) n`,
    );
    const run = async (...args: string[]) => (await pgstoreJson("cleanup", ...args, ...where)).json;
    expect(await run("--dry-run")).toEqual({ removed: 0, expired: 1234, dryRun: true, interrupted: false });
    expect(await run("--dry-run", "--limit", "10")).toMatchObject({ expired: 10 });
    expect(await run("--limit", "700")).toEqual({ removed: 700, dryRun: false, interrupted: false });
    expect(await run()).toEqual({ removed: 534, dryRun: false, interrupted: false });
    expect((await pgstore("cleanup", ...where)).out).toBe("0 rows removed.\n");
    expect((await pgstore("cleanup", "--dry-run", ...where)).out).toBe("0 rows would be removed.\n");
    await expect(store.deleteExpired({ limit: 0 })).rejects.toThrow(/^limit: /);
  });
});

describe("pgstore cleanup of ended sessions", () => {
  it("leaves what tells of them for longer than any application needs it, unless it is told how long", async () => {
    await store.save("ended early", data, soon());
    await store.end("ended early");
    await pool.query(`UPDATE ${QUOTED} SET expiry = expiry - interval '10 minutes' WHERE token = 'ended early'`);
    const count = async (...args: string[]) => (await pgstoreJson("cleanup", ...args, ...where)).json;
    expect(await count("--dry-run")).toMatchObject({ expired: 0 });
    expect(await count()).toMatchObject({ removed: 0 });
    expect(await count("--dry-run", "--ended-grace", "5m")).toMatchObject({ expired: 1 });
    expect(await count("--ended-grace", "5m")).toMatchObject({ removed: 1 });
    expect(await pgstore("cleanup", "--ended-grace", "soon", ...where)).toMatchObject({
      code: 2,
      err: expect.stringContaining("--ended-grace") as string,
    });
  });
});

describe("--layout connect-pg-simple", () => {
  it("works on that package's table, and advises nothing that would change it", async () => {
    for (const sql of connectPgSimpleTable('"session"')) await pool.query(sql);
    await pool.query(
      `INSERT INTO session SELECT 'sid ' || n, '{"cookie":{}}', current_timestamp + interval '10 minutes' * (n - 2) FROM generate_series(1, 6) n`,
    );
    const url = ["--url", database.url];
    const run = (...args: string[]) => pgstoreJson(...args, "--layout", "connect-pg-simple", ...url);
    expect((await run("stats")).json).toMatchObject({ table: '"session"', live: 4, expired: 2, users: null });
    const theirs = ["--layout", "connect-pg-simple", ...url];
    expect((await pgstore("stats", ...theirs)).out).toMatch(/^Users +unknown on this table$/m);
    for (const command of ["stats", "cleanup", "cleanup --dry-run", "revoke --all --yes"]) {
      const { code: missing, err } = await pgstore(...command.split(" "), "--table", "nowhere", ...theirs);
      expect([missing, err], command).toEqual([4, expect.stringContaining("the table that the package created")]);
      expect(err).not.toContain("pgstore migrate");
    }
    expect(await run("check")).toMatchObject({ code: 0 });
    expect((await run("revoke", "--id", "sid 3", "--yes")).json).toMatchObject({ ended: 1 });
    expect((await run("cleanup")).json).toMatchObject({ removed: 2 });
    expect((await run("revoke", "--all", "--yes")).json).toMatchObject({ ended: 3 });
    expect((await run("stats")).json).toMatchObject({ live: 0 });
    for (const command of [["list", "--user", "ada"], ["migrate"], ["migrate", "--print"]]) {
      expect((await run(...command)).code, command.join(" ")).toBe(2);
    }
    // Without the option it says what the table is.
    const { code, out } = await pgstore("check", "--table", "session", ...url);
    expect([code, out]).toEqual([4, expect.stringContaining("--layout connect-pg-simple")]);
    expect(out).not.toMatch(/ADD COLUMN|ALTER TABLE|pgstore migrate/);
    await pool.query("CREATE TABLE theirs (id int)");
    const nowhere = await pgstore("check", "--table", "nowhere", ...theirs);
    expect([nowhere.code, nowhere.out]).toEqual([4, expect.stringContaining("the table that the package created")]);
    for (const layout of ["pgstore", "connect-pg-simple"]) {
      const { code: other, out: said } = await pgstore("check", "--table", "theirs", "--layout", layout, ...url);
      expect([other, said]).toEqual([4, expect.not.stringMatching(/ADD COLUMN|ALTER TABLE|pgstore migrate/)]);
    }
  });
});

describe("pgstore", () => {
  it("takes the URL from DATABASE_URL", async () => {
    vi.stubEnv("DATABASE_URL", database.url);
    expect(await pgstore("stats")).toMatchObject({ code: 0 });
    vi.stubEnv("DATABASE_URL", "");
    for (const name of ["PGHOST", "PGPORT", "PGDATABASE", "PGUSER"]) vi.stubEnv(name, "");
    expect(await pgstore("stats")).toMatchObject({ code: 2, err: expect.stringContaining("DATABASE_URL") as string });
  });

  it("says in one line what is wrong, with an exit code for each kind, and in JSON as well", async () => {
    for (const [code, kind, args] of [
      [2, "USAGE", ["stats", "--url", "postgres://me:sesame77@[broken/app"]],
      [2, "USAGE", ["migrate", "--url", "postgre://me:sesame77@127.0.0.1/app"]],
      // What of a password is not percent-encoded ends the host.
      [2, "USAGE", ["stats", "--url", "postgres://me:1/sesame77@127.0.0.1/app"]],
      [2, "USAGE", ["stats", "--url", "postgres://me:1?sesame77@127.0.0.1/app"]],
      [2, "USAGE", ["stats", "--url", "postgres://me:1#sesame77@127.0.0.1/app"]],
      [2, "USAGE", ["stats", "--nonsense"]],
      [2, "USAGE", ["stats", "--url", database.url, "--table", "x".repeat(64)]],
      [3, "STORE_UNAVAILABLE", ["stats", "--url", "postgres://me:sesame77@127.0.0.1:1/app"]],
      [3, "STORE_UNAVAILABLE", ["stats", "--url", "file:no such folder"]],
      [4, "SCHEMA", ["stats", "--url", database.url, "--table", "none"]],
      [4, "SCHEMA", ["revoke", "--all", "--yes", "--url", database.url, "--table", "none"]],
    ] as const) {
      const said = await pgstore(...args, "--json");
      expect([said.code, JSON.parse(said.out)]).toEqual([
        code,
        { error: { code: kind, message: expect.any(String) as string } },
      ]);
      expect(said.err).toMatch(/^pgstore: .+\n$/);
      expect(said.out + said.err + (await pgstore(...args, "--debug")).err).not.toContain("sesame77");
    }
  });

  it("shows the stack of an error with --debug only", async () => {
    const args = ["stats", "--url", "postgres://127.0.0.1:1/app"];
    expect((await pgstore(...args)).err).not.toContain("    at ");
    expect((await pgstore(...args, "--debug")).err).toContain("    at ");
  });

  it("has a version, a help, and suggests what was meant", async () => {
    expect(await pgstore("--version")).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    });
    expect(await pgstore("--help")).toMatchObject({ code: 0, err: "" });
    expect(await pgstore()).toMatchObject({ code: 2, out: "", err: expect.stringContaining("Usage:") as string });
    expect(await pgstore("chek")).toMatchObject({
      code: 2,
      err: expect.stringContaining("Did you mean check?") as string,
    });
  });
});
