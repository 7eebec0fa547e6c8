import type pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { PgStore, SessionManager, type StoreOperations, type UserOrder } from "../../src/index.ts";
import { hostOf } from "../../src/lib/postgres/drivers/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { openPglite } from "../support/pglite.ts";

const ROWS = 120_000;
const ADDRESS = "2001:db8::7f3a";

let database: TestDatabase;
let pool: pg.Pool;
let operations: StoreOperations;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  pool = database.pool({ max: 5 });
  const store = new PgStore(pool, { cleanupInterval: 0 });
  operations = store.operations ?? expect.unreachable();
  await store.migrate();
  // User n has n sessions, for n up to 20, and "many" has the others. The user with the fewest logged in last.
  await pool.query(
    `INSERT INTO sessions (token, data, expiry, user_id, created, last_seen, ip)
     SELECT md5(n::text) || md5('x' || n), 'x', current_timestamp + interval '1 hour', user_id, current_timestamp, current_timestamp, '192.0.2.1'
     FROM (SELECT row_number() OVER () AS n, user_id FROM (SELECT 'user' || lpad(u::text, 2, '0') AS user_id FROM generate_series(1, 20) u, generate_series(1, u)
       UNION ALL SELECT 'many' FROM generate_series(1, $1::int - 210)) AS users) AS numbered`,
    [ROWS],
  );
  await pool.query(
    `INSERT INTO sessions_users (user_id, last_login) SELECT user_id, current_timestamp - count(*) * interval '1 second' FROM sessions GROUP BY 1`,
  );
  // The last ones by id, an expired one, and one without a user.
  await pool.query(
    `INSERT INTO sessions (token, data, expiry, user_id, created, last_seen, ip)
     SELECT 'zzzzzzzzz' || n, 'x', current_timestamp + (2 - n) * interval '1 hour' + interval '1 minute', 'user01', current_timestamp, current_timestamp, $1
     FROM generate_series(1, 3) n`,
    [ADDRESS],
  );
  await pool.query(
    `INSERT INTO sessions (token, data, expiry) VALUES ('anonymous', 'x', current_timestamp + interval '1 hour')`,
  );
  await pool.query("ANALYZE sessions");
});
afterAll(() => database.drop());

describe("listUsers", () => {
  const page = async (order: UserOrder, offset: number): Promise<string[]> => {
    const { users, sorted } = await operations.listUsers({ prefix: "user", order, limit: 4, offset });
    expect(sorted).toBe("all");
    return users.map(({ userId, sessions }) => `${userId}: ${sessions}`);
  };

  it("goes back by name to the page before", async () => {
    const names = async (query: { after?: string; before?: string }): Promise<string[]> =>
      (await operations.listUsers({ limit: 2, prefix: "user", ...query })).users.map(({ userId }) => userId);
    expect(await names({ after: "user04" })).toEqual(["user05", "user06"]);
    expect(await names({ before: "user05" })).toEqual(["user03", "user04"]);
    expect(await names({ before: "user01" })).toEqual([]);
  });

  it("sorts by the last login and by the number of sessions, in pages", async () => {
    expect(await page("lastLogin", 0)).toEqual(["user01: 3", "user02: 2", "user03: 3", "user04: 4"]);
    expect(await page("lastLogin", 4)).toEqual(["user05: 5", "user06: 6", "user07: 7", "user08: 8"]);
    expect(await page("sessions", 0)).toEqual(["user20: 20", "user19: 19", "user18: 18", "user17: 17"]);
    expect(await page("sessions", 20)).toEqual([]);
    const { users } = await operations.listUsers({ order: "sessions", limit: 1 });
    expect(users).toMatchObject([{ userId: "many", sessions: 1000 }]);
  });

  it("sorts a sample of a table of more than 200,000 rows, the same each time, and says so", async () => {
    await pool.query("UPDATE pg_class SET reltuples = 500000 WHERE relname = 'sessions'");
    onTestFinished(async () => void (await pool.query("ANALYZE sessions")));
    const top = () => operations.listUsers({ order: "sessions", limit: 10 });
    const first = await top();
    expect([first.sorted, first.users[0]?.userId]).toEqual(["sample", "many"]);
    expect(await top()).toEqual(first);
    const live = async (): Promise<number> => (await operations.stats()).live;
    expect(await live()).toBe(await live());
  });

  it("counts users up to a limit, and a user's sessions", async () => {
    expect(await operations.countUsers("user", 1000)).toBe(20);
    expect(await operations.countUsers("", 7)).toBe(7);
    expect(await operations.countUsers("%", 7)).toBe(0);
    expect(await operations.countSessions("user07")).toBe(7);
    expect(await operations.countSessions("many")).toBe(1000);
  });
});

describe("findSession", () => {
  it("finds a live session by its id or 12 characters of it, also one that nobody has logged in", async () => {
    expect(await operations.findSession("zzzzzzzzz1")).toMatchObject({ userId: "user01", ip: ADDRESS });
    expect(await operations.findSession("anonymous")).toMatchObject({ userId: undefined, created: undefined });
    const { rows } = await pool.query<{ token: string }>("SELECT token FROM sessions WHERE ip = '192.0.2.1' LIMIT 5");
    for (const { token } of rows) {
      expect((await operations.findSession(token.slice(0, 12)))?.id).toBe(token);
      expect(await operations.findSession(token.slice(0, 11))).toBeUndefined();
      expect(await operations.findSession(`${token.slice(0, 12)}!`)).toBeUndefined();
    }
    for (const id of ["zzzzzzzzz3", "none", "", "\0", "pgstore:fence"]) {
      expect(await operations.findSession(id)).toBeUndefined();
    }
  });
});

describe("findByAddress", () => {
  const ids = (sessions: readonly { id: string }[]): string[] => sessions.map(({ id }) => id).toSorted();

  /** Continues a search until its end. A busy machine takes more calls. */
  async function whole(addresses: string[], limit: number): Promise<{ ids: string[]; read: number; calls: number }> {
    const found = { ids: [] as string[], read: 0, calls: 0 };
    for (let after: string | undefined, isOver = false; !isOver; isOver = after === undefined) {
      const { sessions, next, read } = await operations.findByAddress(addresses, limit, after);
      for (const { id } of sessions) found.ids.push(id);
      if (next !== undefined) expect(next).toMatch(/^\d+\..{8}$/);
      after = next;
      found.read += read;
      found.calls += 1;
    }
    return found;
  }

  it("reads the whole table, part by part, where no index helps", async () => {
    const { ids: seen, read } = await whole([ADDRESS, "other"], 10);
    expect(seen).toEqual(["zzzzzzzzz1", "zzzzzzzzz2"]);
    expect(read).toBeGreaterThanOrEqual(ROWS);
  });

  it("stops at the limit, at a place that is no id, from where it continues", async () => {
    const { ids: seen, calls } = await whole(["192.0.2.1"], 50_000);
    expect(new Set(seen).size).toBe(ROWS);
    expect(seen).toHaveLength(ROWS);
    expect(calls).toBeGreaterThanOrEqual(3);
  });

  it("lists each session once, also one by one and with ids that begin alike", async () => {
    const { ids: seen } = await whole([ADDRESS], 1);
    expect(seen).toEqual(["zzzzzzzzz1", "zzzzzzzzz2"]);
  });

  it("misses no session although the last one that was listed ends before it continues", async () => {
    await pool.query(
      `INSERT INTO sessions (token, data, expiry, ip)
       SELECT n || '-left', 'x', current_timestamp + interval '1 hour', 'left' FROM generate_series(1, 3) n`,
    );
    onTestFinished(async () => void (await pool.query("DELETE FROM sessions WHERE ip = 'left'")));
    const first = await operations.findByAddress(["left"], 1);
    expect(ids(first.sessions)).toEqual(["1-left"]);
    await pool.query("UPDATE sessions SET expiry = current_timestamp WHERE token = '1-left'");
    const second = await operations.findByAddress(["left"], 1, first.next);
    expect(ids(second.sessions)).toEqual(["2-left"]);
    const third = await operations.findByAddress(["left"], 5, second.next);
    expect(ids(third.sessions)).toEqual(["3-left"]);
  });

  it("uses an index on the address", async () => {
    await pool.query("CREATE INDEX by_address ON sessions (ip) WHERE ip IS NOT NULL");
    onTestFinished(async () => void (await pool.query("DROP INDEX by_address")));
    const { sessions, next, read } = await operations.findByAddress([ADDRESS], 10);
    expect([ids(sessions), next, read]).toEqual([["zzzzzzzzz1", "zzzzzzzzz2"], undefined, 0]);
  });
});

describe("place", () => {
  it("names the database and its host, and nothing else of a connection string", async () => {
    const { database: name, host = "" } = await operations.place();
    expect(name).toBe(database.name);
    const url = new URL(database.url);
    url.searchParams.set("application_name", "p4ssw0rd");
    const sql = postgres(url.href, { max: 1, password: "p4ssw0rd", onnotice: () => {} });
    onTestFinished(() => sql.end());
    const other = await new PgStore(sql as never, { cleanupInterval: 0 }).operations?.place();
    expect(other).toEqual({ database: name, host });
    const custom = { query: (text: string, values?: unknown[]) => pool.query(text, values) };
    const seen = await new PgStore(custom, { cleanupInterval: 0 }).operations?.place();
    expect(seen?.database).toBe(name);
    expect(hostOf({ query: () => {} })).toBeUndefined();
    // A pool whose Client can't read the connection string.
    expect(hostOf({ options: {}, Client: () => {} })).toBeUndefined();
  });

  it("works on PGlite, as do the searches", async () => {
    const db = await openPglite();
    onTestFinished(() => db.close());
    const store = new PgStore(db, { cleanupInterval: 0 });
    await store.migrate();
    const manager = new SessionManager(store);
    const session = await manager.load();
    await session.login("ada");
    await manager.commit(session);
    const { operations: own } = store;
    expect(await own?.place()).toEqual({ database: "postgres", host: "PGlite" });
    expect((await own?.findSession(session.id ?? ""))?.userId).toBe("ada");
    expect((await own?.findByAddress(["192.0.2.1"], 10))?.sessions).toEqual([]);
    for (const order of ["lastLogin", "sessions"] as const) {
      expect((await own?.listUsers({ order, limit: 1 }))?.users).toMatchObject([{ userId: "ada", sessions: 1 }]);
    }
  }, 60_000);
});
