import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type HistoryPoint, PgStore, SessionManager, type StoreOperations } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { openPglite } from "../support/pglite.ts";

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  pool = database.pool({ max: 5 });
  await new PgStore(pool, { cleanupInterval: 0 }).migrate();
});
beforeEach(async () => {
  await pool.query("TRUNCATE sessions, sessions_users, sessions_history");
});
afterAll(() => database.drop());

const open = (cleanupInterval = 0): PgStore => new PgStore(pool, { cleanupInterval, endedGrace: 0 });
const openWithShortFloats = (): PgStore =>
  new PgStore(database.pool({ max: 1, options: "-c extra_float_digits=-15" }), { cleanupInterval: 0, endedGrace: 0 });
const operationsOf = (store: PgStore): StoreOperations => store.operations ?? expect.unreachable();

/** Rows that expire some minutes from now; of users, where there are any. */
async function rows(count: number, minutes: number, users = 0): Promise<void> {
  await pool.query(
    `INSERT INTO sessions (token, data, expiry, user_id, created, last_seen)
     SELECT gen_random_uuid()::text, 'x', current_timestamp + $2 * interval '1 minute',
       CASE WHEN $3 > 0 THEN 'user' || n % $3 END, CASE WHEN $3 > 0 THEN current_timestamp END, current_timestamp
     FROM generate_series(1, $1::int) n`,
    [count, minutes, users],
  );
}

describe("the figures of a store", () => {
  it("are exact for a table that is not large", async () => {
    await rows(3, 0.5);
    await rows(5, 50, 2);
    await rows(7, 60 * 24 * 90, 7);
    await rows(11, -1);
    const stats = await operationsOf(open()).stats();
    expect(stats).toMatchObject({
      live: 15,
      loggedIn: 12,
      users: 7,
      expired: 11,
      isEstimate: false,
      cleanup: undefined,
    });
    const minute = 60_000;
    expect(stats.expiring.filter(({ count }) => count > 0)).toEqual([
      { within: minute, count: 3 },
      { within: 60 * minute, count: 5 },
      { within: Number.POSITIVE_INFINITY, count: 7 },
    ]);
    expect(stats.expiring.map(({ within }) => within)).toEqual(
      stats.expiring.map(({ within }) => within).toSorted((a, b) => a - b),
    );
    expect(stats.tableBytes).toBeGreaterThan(0);
    expect(stats.indexBytes).toBeGreaterThan(0);
  });

  it("are estimated for one that is, near to what is there", async () => {
    await rows(100_000, 50, 1000);
    await rows(200_000, 60 * 24 * 2);
    await rows(20_000, -1);
    await pool.query("ANALYZE sessions");
    const stats = await operationsOf(open()).stats();
    expect(stats.isEstimate).toBe(true);
    const near = (actual: number | undefined, exact: number): void => {
      expect(actual).toBeGreaterThan(exact * 0.8);
      expect(actual).toBeLessThan(exact * 1.2);
    };
    near(stats.live, 300_000);
    near(stats.loggedIn, 100_000);
    near(stats.users, 1000);
    expect(stats.expired).toBe(10_000);
    near(stats.expiring.find(({ within }) => within === 3_600_000)?.count, 100_000);
  });

  it("are the same when extra_float_digits shortens the text of a float", async () => {
    await rows(3000, 50, 2000);
    await pool.query("ALTER TABLE sessions ALTER user_id SET (n_distinct = 1234)");
    onTestFinished(async () => void (await pool.query("ALTER TABLE sessions ALTER user_id RESET (n_distinct)")));
    await pool.query("ANALYZE sessions");
    await pool.query("UPDATE pg_class SET reltuples = 345678 WHERE oid = 'sessions'::regclass");
    const stats = await operationsOf(open()).stats();
    expect(stats).toMatchObject({ isEstimate: true, users: 1234 });
    expect(await operationsOf(openWithShortFloats()).stats()).toEqual(stats);
  });

  it("are there without the columns about users, too", async () => {
    await pool.query("CREATE TABLE plain (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)");
    const store = new PgStore(pool, { cleanupInterval: 0, table: "plain" });
    await store.save("t", new Uint8Array([1]), new Date(Date.now() + 60_000));
    expect(await operationsOf(store).stats()).toMatchObject({ live: 1, loggedIn: undefined, users: undefined });
    expect(await operationsOf(store).history(new Date(Date.now() - 1000), 1)).toHaveLength(1);
  });
});

describe("the history that the cleanup writes", () => {
  const since = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);
  const sum = (points: HistoryPoint[], of: "created" | "ended" | "removed"): number =>
    points.reduce((total, point) => total + point[of], 0);

  it("adds up what the processes have done, and survives them", async () => {
    const stores = [open(20), open(20)];
    const managers = stores.map((store) => new SessionManager<Record<string, unknown>>(store));
    for (const manager of managers) {
      for (let n = 0; n < 3; n++) {
        const session = await manager.load();
        session.set("key", n);
        if (n === 2) await session.login("carol");
        await manager.commit(session);
        if (n === 0) await session.destroy();
        if (n === 1) await session.login("alice");
      }
    }
    await managers[0]?.destroyByUser("alice");
    await rows(4, -1);
    await expect
      .poll(async () => {
        const points = await operationsOf(open()).history(since(60), 6);
        // The expired rows, and those of the sessions that have ended; what is left has been counted since.
        return [sum(points, "created"), sum(points, "ended"), sum(points, "removed") >= 4, points.at(-1)?.live];
      })
      .toEqual([6, 4, true, 2]);
    await Promise.all(stores.map((store) => store.close()));
    const points = await operationsOf(open()).history(since(60), 6);
    expect(points).toHaveLength(6);
    expect([sum(points, "created"), sum(points, "ended"), points.at(-1)?.live]).toEqual([6, 4, 2]);
    expect((await operationsOf(open()).stats()).cleanup?.at.getTime()).toBeGreaterThan(since(1).getTime());
  });

  it("is written by a cleanup from a job as well, and does not keep it from cleaning where it can't be", async () => {
    await rows(4, -1);
    const errors: unknown[] = [];
    const store = new PgStore(pool, { cleanupInterval: 0, endedGrace: 0, onError: (error) => errors.push(error) });
    expect(await store.deleteExpired()).toBe(4);
    expect((await operationsOf(store).stats()).cleanup).toMatchObject({ removed: 4 });
    await rows(3, -1);
    await pool.query("ALTER TABLE sessions_history RENAME COLUMN removed TO other");
    expect(await store.deleteExpired()).toBe(3);
    expect(errors).toEqual([expect.objectContaining({ code: "SCHEMA" })]);
    await pool.query("ALTER TABLE sessions_history RENAME COLUMN other TO removed");
  });

  it("gets later what could not be written at first", async () => {
    const errors: unknown[] = [];
    const store = new PgStore(pool, { cleanupInterval: 0, onError: (error) => errors.push(error) });
    for (const id of ["one", "other"]) await store.create(id, new Uint8Array([1]), new Date(Date.now() + 60_000));
    await store.end("one");
    await pool.query("ALTER TABLE sessions_history RENAME COLUMN created TO other");
    await store.deleteExpired();
    await pool.query("ALTER TABLE sessions_history RENAME COLUMN other TO created");
    expect(errors).toHaveLength(1);
    await store.deleteExpired();
    const points = await operationsOf(store).history(since(60), 6);
    expect([sum(points, "created"), sum(points, "ended")]).toEqual([2, 1]);
    await store.close();
  });

  it("puts what happened into the stretch in which it did", async () => {
    await pool.query(
      `INSERT INTO sessions_history (at, created, live) VALUES (current_timestamp - interval '55 minutes', 1, 10),
         (current_timestamp - interval '52 minutes', 2, 20), (current_timestamp - interval '1 minute', 3, NULL),
         (current_timestamp - interval '2 hours', 100, 1000)`,
    );
    const points = await operationsOf(open()).history(since(60), 6);
    expect(points.map(({ created }) => created)).toEqual([3, 0, 0, 0, 0, 3]);
    expect(points.map(({ live }) => live)).toEqual([20, undefined, undefined, undefined, undefined, undefined]);
    expect(points[0]?.length).toBeCloseTo(600_000, -4);
  });

  it("puts it there when extra_float_digits shortens the text of a float", async () => {
    await pool.query(
      "INSERT INTO sessions_history (at, created) VALUES (current_timestamp - interval '16 minutes 30 seconds', 7)",
    );
    const points = await operationsOf(openWithShortFloats()).history(since(60), 60);
    expect(points.findIndex(({ created }) => created === 7)).toBe(43);
  });

  it("wants a time that is past, in whole points", async () => {
    const operations = operationsOf(open());
    await expect(operations.history(new Date(Date.now() + 60_000), 6)).rejects.toThrow(TypeError);
    await expect(operations.history(since(60), 1.5)).rejects.toThrow(TypeError);
  });

  it("is kept for eight days", async () => {
    await pool.query("INSERT INTO sessions_history (at) VALUES (current_timestamp - interval '9 days')");
    const store = open(10);
    await expect.poll(async () => (await operationsOf(store).stats()).cleanup).toBeDefined();
    const { rows: left } = await pool.query(
      "SELECT FROM sessions_history WHERE at < current_timestamp - interval '8 days'",
    );
    expect(left).toEqual([]);
    await store.close();
  });

  it("forgets users who have neither a session nor logged in lately", async () => {
    await rows(1, 50, 1);
    await pool.query(
      `INSERT INTO sessions_users SELECT name, current_timestamp - age FROM (VALUES
        ('user1', interval '2 days'), ('user0', interval '2 days'), ('gone', interval '2 days'), ('lately', interval '1 hour')) v(name, age)`,
    );
    const store = open(10);
    const names = async (): Promise<string[]> =>
      (await pool.query<{ user_id: string }>("SELECT user_id FROM sessions_users ORDER BY 1")).rows.map(
        (row) => row.user_id,
      );
    // `user1` is 'user' || 1 % 1, which is user0.
    await expect.poll(names).toEqual(["lately", "user0"]);
    await store.close();
  });
});

describe("the search for users", () => {
  it("goes by how a name begins, in pages", async () => {
    const names = ["alice", "al", "alan", "bob", "Al", "al%", "al_", "alé", "al🙂", "am"];
    for (const name of names) await pool.query("INSERT INTO sessions_users VALUES ($1, current_timestamp)", [name]);
    await pool.query("INSERT INTO sessions_users (user_id, revoked) VALUES ('al-never', current_timestamp)");
    await rows(3, 50, 1);
    await pool.query("UPDATE sessions SET user_id = 'alan'");
    const operations = operationsOf(open());
    const first = await operations.searchUsers("al", 3);
    expect(first.map(({ userId, sessions }) => [userId, sessions])).toEqual([
      ["al", 0],
      ["al%", 0],
      ["al_", 0],
    ]);
    const second = await operations.searchUsers("al", 10, "al_");
    expect(second.map(({ userId, sessions }) => [userId, sessions])).toEqual([
      ["alan", 3],
      ["alice", 0],
      ["alé", 0],
      ["al🙂", 0],
    ]);
    expect(await operations.searchUsers("", 100)).toHaveLength(names.length);
    expect(await operations.searchUsers("zzz", 100)).toEqual([]);
  });

  it("is in a database that is not in UTF-8 as well", async () => {
    const name = `${database.name}_latin1`;
    await pool.query(`CREATE DATABASE ${name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`);
    const url = new URL(database.url);
    url.pathname = name;
    const latin = new pg.Pool({ connectionString: url.href, max: 1 });
    onTestFinished(async () => {
      await latin.end();
      await pool.query(`DROP DATABASE ${name}`);
    });
    const store = new PgStore(latin, { cleanupInterval: 0 });
    await store.migrate();
    const manager = new SessionManager(store);
    for (const userId of ["ada", "\u00e4da"]) {
      const session = await manager.load();
      await session.login(userId);
      await manager.commit(session);
    }
    const found = async (prefix: string): Promise<string[]> =>
      (await operationsOf(store).searchUsers(prefix, 10)).map(({ userId }) => userId);
    expect([await found(""), await found("a"), await found("\u00e4")]).toEqual([
      ["ada", "\u00e4da"],
      ["ada"],
      ["\u00e4da"],
    ]);
  });

  it("works whatever standard_conforming_strings says", async () => {
    await pool.query("INSERT INTO sessions_users VALUES ('alice', current_timestamp)");
    const old = database.pool({ max: 1, options: "-c standard_conforming_strings=off" });
    const operations = operationsOf(new PgStore(old, { cleanupInterval: 0 }));
    expect(await operations.searchUsers("al", 3)).toMatchObject([{ userId: "alice" }]);
  });

  it("works on PGlite as well", async () => {
    const db = await openPglite();
    const store = new PgStore(db, { cleanupInterval: 0 });
    await store.migrate();
    const manager = new SessionManager(store);
    const session = await manager.load();
    await session.login("alice");
    await manager.commit(session);
    expect(await operationsOf(store).searchUsers("a", 10)).toMatchObject([{ userId: "alice", sessions: 1 }]);
    expect(await operationsOf(store).stats()).toMatchObject({ live: 1, users: 1 });
    await db.close();
  });
});
