import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type PgClient, PgStore, type PgStoreOptions } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { gatedClient } from "../support/gated-client.ts";
import type pg from "pg";

let database: TestDatabase;
let pool: pg.Pool;
const stores: PgStore[] = [];
beforeAll(async () => {
  database = await createDatabase();
  pool = database.pool();
});
beforeEach(() => pool.query("DELETE FROM sessions"));
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
});
afterAll(() => database.drop());

function open(db: PgClient, options: PgStoreOptions = {}): PgStore {
  const store = new PgStore(db, { cleanupInterval: 0, ...options });
  stores.push(store);
  return store;
}

/** Rows that expired a second apart, the last of them just now, and as many live ones. */
async function fill(count: number, together = false): Promise<void> {
  const past = together ? "interval '1 minute'" : "n * interval '1 second'";
  await pool.query(
    `INSERT INTO sessions SELECT 'dead ' || n, 'x'::bytea, current_timestamp - ${past} FROM generate_series(1, $1::int) n
     UNION ALL SELECT 'live ' || n, 'x'::bytea, current_timestamp + interval '1 hour' FROM generate_series(1, $1::int) n`,
    [count],
  );
}
const count = async (kind: string): Promise<number> =>
  (await pool.query(`SELECT count(*)::int AS n FROM sessions WHERE token LIKE $1`, [`${kind} %`])).rows[0].n;

describe("PgStore.deleteExpired", () => {
  it("removes what has expired in statements of bounded size, and says how far it is", async () => {
    await fill(7000);
    const client = gatedClient(pool);
    const progress: number[] = [];
    expect(await open(client).deleteExpired({ onProgress: ({ removed }) => progress.push(removed) })).toBe(7000);
    expect(await count("dead")).toBe(0);
    expect(await count("live")).toBe(7000);
    expect(progress.length).toBeGreaterThan(3);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(progress.at(-1)).toBe(7000);
    const sizes = client.sent.filter(({ text }) => text.startsWith("DELETE")).map(({ tokens }) => tokens.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2000);
    expect(client.most).toBe(1);
  });

  it("removes ended sessions once their grace is over, and not before, though the page was read before they ended", async () => {
    await fill(2);
    const store = open(pool);
    await store.end("live 1");
    await store.end("live 2");
    await pool.query("UPDATE sessions SET expiry = current_timestamp - interval '119 s' WHERE token = 'live 1'");
    await pool.query("UPDATE sessions SET expiry = current_timestamp - interval '121 s' WHERE token = 'live 2'");
    expect(await store.deleteExpired()).toBe(3);
    expect(await store.upsert("live 1", new Uint8Array([1]), new Date(Date.now() + 60_000))).toBe(false);
    expect(await open(pool, { endedGrace: "1s" }).deleteExpired()).toBe(1);
    expect(await count("live")).toBe(0);
    await fill(1);
    const client = gatedClient(pool);
    const endsAfterTheRead: PgClient = {
      query: async (text, values) => {
        const answer = await client.query(text, values);
        if (text.startsWith("SELECT")) await store.end("dead 1");
        return answer;
      },
    };
    expect(await open(endsAfterTheRead).deleteExpired()).toBe(0);
    expect(await count("dead")).toBe(1);
  });

  it("removes rows that all expired at the same instant", async () => {
    await fill(3000, true);
    expect(await open(pool).deleteExpired()).toBe(3000);
    expect(await count("dead")).toBe(0);
  });

  it("begins where the last page ended, not among the rows that it has removed", async () => {
    await fill(3000);
    const client = gatedClient(pool);
    await open(client).deleteExpired();
    const pages = client.sent.filter(({ text }) => text.startsWith("SELECT s.token"));
    const starts = pages.map(({ values }) => Number(values[0]));
    expect(starts.length).toBeGreaterThan(2);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    expect(new Set(starts).size).toBe(starts.length);
  });

  it("ends although the database refuses to remove anything", async () => {
    await fill(1500, true);
    const admin = database.admin({ max: 1 });
    await admin.query("CREATE RULE keep AS ON DELETE TO sessions DO INSTEAD NOTHING");
    // A rule forbids RETURNING, so the refusal is an error, which names the table.
    await expect(open(pool).deleteExpired()).rejects.toThrow(/sessions/);
    await admin.query("DROP RULE keep ON sessions");
    await admin.query(`CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`);
    await admin.query("CREATE TRIGGER keep BEFORE DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION keep()");
    expect(await open(pool).deleteExpired()).toBe(0);
    await pool.query("UPDATE sessions SET expiry = '-infinity'");
    expect(await open(pool).deleteExpired()).toBe(0);
    await admin.query("DROP TRIGGER keep ON sessions");
    await admin.query("DROP FUNCTION keep()");
  });

  it("leaves a session that is extended between the two statements of a page", async () => {
    await fill(5);
    const client = gatedClient(pool);
    const store = open({
      async query(text, values) {
        if (text.startsWith("DELETE")) {
          await pool.query("UPDATE sessions SET expiry = current_timestamp + interval '1 hour' WHERE token = 'dead 3'");
        }
        return client.query(text, values);
      },
    });
    expect(await store.deleteExpired()).toBe(4);
    expect(await store.find("dead 3")).toBeDefined();
  });

  it("has no effect on live sessions that are extended meanwhile", async () => {
    await fill(4000);
    const store = open(pool);
    const running = { done: false };
    const cleaning = store.deleteExpired().finally(() => (running.done = true));
    let touches = 0;
    while (!running.done) {
      const names = Array.from({ length: 50 }, (_, n) => `live ${((touches + n) % 4000) + 1}`);
      const later = new Date(Date.now() + 7_200_000);
      expect(await Promise.all(names.map((token) => store.touch(token, later)))).toEqual(names.map(() => true));
      touches += 50;
    }
    expect(await cleaning).toBe(4000);
    expect(await count("live")).toBe(4000);
  });

  it("stops between two statements when it is aborted, and loses nothing", async () => {
    await fill(3000);
    const controller = new AbortController();
    const reason = new Error("enough");
    let removed = 0;
    const onProgress = (progress: { removed: number }): void => {
      ({ removed } = progress);
      controller.abort(reason);
    };
    await expect(open(pool).deleteExpired({ signal: controller.signal, onProgress })).rejects.toBe(reason);
    expect(removed).toBeGreaterThan(0);
    expect(await count("dead")).toBe(3000 - removed);
  });

  it("shares the work with another process that is at it, without a deadlock", async () => {
    await fill(5000);
    const [a, b] = [open(database.pool()), open(database.pool())];
    const removed = await Promise.all([a.deleteExpired(), b.deleteExpired()]);
    expect(removed[0] + removed[1]).toBe(5000);
    expect(await count("dead")).toBe(0);
  });
});

describe("the periodic cleanup", () => {
  it("is done by one process of a fleet at a time", async () => {
    await fill(10);
    const locks =
      "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE datname = $1 AND locktype = 'advisory'";
    const held = async () => (await pool.query(locks, [database.name])).rowCount;
    // Somebody is at it, as far as the others can see.
    const leader = await pool.connect();
    await leader.query("BEGIN");
    const lock = "SELECT pg_try_advisory_xact_lock(hashtext('pgstore'), hashtext('cleanup of \"sessions\"')) AS ok";
    expect((await leader.query(lock)).rows).toEqual([{ ok: true }]);
    const errors: unknown[] = [];
    const followers = [1, 2, 3].map(() => {
      const own = database.pool();
      const asked = new Promise<void>((resolve) => {
        let times = 0;
        own.on("release", () => ++times === 3 && resolve());
      });
      return { store: open(own, { cleanupInterval: 1, onError: (error) => errors.push(error) }), asked };
    });
    await Promise.all(followers.map(({ asked }) => asked));
    expect(await count("dead")).toBe(10);
    await leader.query("COMMIT");
    leader.release();
    await expect.poll(() => count("dead")).toBe(0);
    for (const { store } of followers) await store.close();
    expect(errors).toEqual([]);
    expect(await held()).toBe(0);
  });

  it("works with a pool of one connection, which has none to spare for a lock", async () => {
    await fill(10);
    open(database.pool({ max: 1 }), { cleanupInterval: 1 });
    await expect.poll(() => count("dead")).toBe(0);
  });

  it("never overlaps itself", async () => {
    await fill(10);
    const client = gatedClient(pool);
    client.hold();
    open(client, { cleanupInterval: 1, queryTimeout: "20s" });
    await expect.poll(() => client.sent.length).toBe(1);
    // Another one's turns, to tell the time by.
    const clock = gatedClient(pool);
    open(clock, { cleanupInterval: 1 });
    await expect.poll(() => clock.sent.length).toBeGreaterThan(20);
    expect(client.sent).toHaveLength(1);
    client.release();
    await expect.poll(() => count("dead")).toBe(0);
  });

  it("goes on after an error, which onError gets", async () => {
    await fill(10);
    const errors: unknown[] = [];
    let calls = 0;
    const flaky: PgClient = {
      query: (text, values) =>
        ++calls === 1
          ? Promise.reject(Object.assign(new Error("expected"), { code: "42501" }))
          : pool.query(text, values),
    };
    open(flaky, { cleanupInterval: 1, onError: (error) => errors.push(error) });
    await expect.poll(() => count("dead")).toBe(0);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ code: "STORE_FAILED" });
  });

  it("ends after its present statement when the store is closed, without an error", async () => {
    await fill(3000);
    const client = gatedClient(pool);
    const errors: unknown[] = [];
    const store = open(client, { cleanupInterval: 1, onError: (error) => errors.push(error) });
    client.hold();
    await expect.poll(() => client.sent.length).toBe(1);
    const closing = store.close();
    client.release();
    await closing;
    expect(errors).toEqual([]);
    expect(await count("dead")).toBeGreaterThan(0);
  });
});

describe("PgStore.all", () => {
  it("reads pages by key, and so much at once, however large the rows are", async () => {
    const store = open(gatedClient(pool));
    const client = gatedClient(pool);
    const rows = 600;
    const size = 20_000;
    await pool.query(
      "INSERT INTO sessions SELECT 't' || n, convert_to(repeat('x', $2::int), 'UTF8'), current_timestamp + interval '1 hour' FROM generate_series(1, $1::int) n",
      [rows, size],
    );
    let seen = 0;
    let length = 0;
    const listing = open(client);
    for await (const { data } of listing.all()) {
      seen++;
      length += data.length;
    }
    expect([seen, length]).toEqual([rows, rows * size]);
    // The first page is a guess; the others hold a megabyte at most.
    const limits = client.sent.map(({ values }) => Number(values[1]));
    expect(limits[0]).toBe(100);
    for (const limit of limits.slice(1)) expect(limit * size).toBeLessThanOrEqual(1 << 20);
    await store.close();
  });

  it("holds a thousand rows at a time, of a table of a hundred thousand", async () => {
    await pool.query(
      "INSERT INTO sessions SELECT n::text, 'x', current_timestamp + interval '1 hour' FROM generate_series(1, 100000) n",
    );
    const client = gatedClient(pool);
    const store = open(client);
    let last = "";
    let seen = 0;
    for await (const { token } of store.all()) {
      seen++;
      last = token;
    }
    expect(seen).toBe(100_000);
    expect(last).not.toBe("");
    expect(Math.max(...client.sent.map(({ values }) => Number(values[1])))).toBe(1000);
    expect(client.most).toBe(1);
  });

  it("ends when the loop is left, and when it is aborted", async () => {
    await fill(500);
    const client = gatedClient(pool);
    const store = open(client);
    for await (const { token } of store.all()) if (token !== "") break;
    expect(client.sent).toHaveLength(1);
    const controller = new AbortController();
    const reading = (async () => {
      for await (const _ of store.all({ signal: controller.signal })) controller.abort();
    })();
    await expect(reading).rejects.toThrow(/abort/);
  });
});
