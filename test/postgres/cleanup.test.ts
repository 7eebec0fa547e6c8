import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type PgClient, PgStore, type PgStoreOptions } from "../../src/index.ts";
import { type CleanupEvent, listen } from "../../src/lib/core/events.ts";
import { CleanupTurns, deleteExpired } from "../../src/lib/postgres/cleanup.ts";
import type { Row } from "../../src/lib/postgres/drivers/driver.ts";
import { scsLayout } from "../../src/lib/postgres/sql/layout.ts";
import { tableStatements } from "../../src/lib/postgres/sql/statements.ts";
import { tableName } from "../../src/lib/postgres/sql/table-name.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { type GatedClient, gatedClient } from "../support/gated-client.ts";
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
  await pool.query("DELETE FROM sessions");
  const past = together ? "interval '1 minute'" : "n * interval '1 second'";
  await pool.query(
    `INSERT INTO sessions SELECT 'dead ' || n, 'x'::bytea, current_timestamp - ${past} FROM generate_series(1, $1::int) n
     UNION ALL SELECT 'live ' || n, 'x'::bytea, current_timestamp + interval '1 hour' FROM generate_series(1, $1::int) n`,
    [count],
  );
}
const count = async (kind: string): Promise<number> =>
  (await pool.query(`SELECT count(*)::int AS n FROM sessions WHERE token LIKE $1`, [`${kind} %`])).rows[0].n;

/** The statements that have removed a page. */
const pagesOf = (client: GatedClient) => client.sent.filter(({ text }) => text.startsWith("WITH lead"));

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
    const sizes = pagesOf(client).map(({ values }) => Number(values[1]));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2000);
    expect(sizes.length).toBeGreaterThan(3);
    expect(client.most).toBe(1);
  });

  it("removes ended sessions once their grace is over, and not before", async () => {
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
    const starts = pagesOf(client).map(({ values }) => Number(values[0]));
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

  it("leaves a session that is being extended, and does not wait for that", async () => {
    await fill(5);
    const other = await pool.connect();
    await other.query("BEGIN");
    await other.query("UPDATE sessions SET expiry = current_timestamp + interval '1 hour' WHERE token = 'dead 3'");
    const store = open(pool);
    expect(await store.deleteExpired()).toBe(4);
    await other.query("COMMIT");
    other.release();
    expect(await store.find("dead 3")).toBeDefined();
  });

  it("rests after each page for as long as that took", async () => {
    await fill(700);
    let answered = 0;
    const rests: number[] = [];
    const client: PgClient = {
      async query(text, values) {
        const isPage = text.startsWith("WITH lead");
        if (isPage && answered > 0) rests.push(performance.now() - answered);
        if (isPage) await pool.query("SELECT pg_sleep(0.06)");
        const answer = await pool.query(text, values);
        if (isPage) answered = performance.now();
        return answer;
      },
    };
    await open(client).deleteExpired();
    expect(rests.length).toBeGreaterThan(0);
    // A timer may be a little early.
    for (const rest of rests) expect(rest).toBeGreaterThan(40);
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
  const LOCK = `hashtext('pgstore'), hashtext('cleanup of "sessions"')`;
  /** Has the lock, as somebody else who is at it. */
  async function leader(): Promise<() => Promise<void>> {
    const client = await pool.connect();
    await client.query("BEGIN");
    expect((await client.query(`SELECT pg_try_advisory_xact_lock(${LOCK}) AS ok`)).rows).toEqual([{ ok: true }]);
    let isOver = false;
    const leave = async (): Promise<void> => {
      if (isOver) return;
      isOver = true;
      await client.query("COMMIT");
      client.release();
    };
    onTestFinished(leave);
    return leave;
  }
  /** Turns of a cleanup by hand. */
  function turnsByHand() {
    const told: boolean[] = [];
    const turns = new CleanupTurns('cleanup of "sessions"', (isLockHeld) => told.push(isLockHeld));
    const { cleanUp } = tableStatements(tableName("sessions", undefined), scsLayout, 120_000);
    const query = async (text: string, values: string[] = []) => (await pool.query(text, values)).rows as Row[];
    return { told, turn: () => deleteExpired(query, cleanUp, {}, turns) };
  }

  it("is done by one process of a fleet at a time, whose lock is gone with its statement", async () => {
    await fill(10);
    const leave = await leader();
    const { turn, told } = turnsByHand();
    expect(await turn()).toMatchObject({ removed: 0, leads: false });
    await leave();
    expect(await turn()).toMatchObject({ removed: 10, leads: true });
    expect(await turn()).toMatchObject({ removed: 0, leads: true, oldest: "" });
    expect(told).toEqual([]);
    const locks =
      "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE datname = $1 AND locktype = 'advisory'";
    expect((await pool.query(locks, [database.name])).rowCount).toBe(0);
  });

  it("refuses an option that is wrong or does not exist", async () => {
    const store = open(pool);
    await expect(store.deleteExpired({ limit: 0.5 })).rejects.toThrow(/^limit: expected a whole number from 1/);
    await expect(store.deleteExpired({ limt: 1 } as never)).rejects.toThrow(/^limt: there is no such option/);
    await expect(store.deleteExpired({ onProgress: 1 } as never)).rejects.toThrow(/^onProgress: expected a function/);
  });

  it("goes on without a lock that somebody keeps while nothing is removed, and tells", async () => {
    await fill(10);
    const leave = await leader();
    const { turn, told } = turnsByHand();
    for (let n = 0; n < 3; n++) expect(await turn()).toMatchObject({ removed: 0, leads: false });
    expect(told).toEqual([true]);
    expect(await turn()).toMatchObject({ removed: 10, leads: false });
    // And from then on, as long as the lock is kept.
    await turn();
    await fill(10);
    expect(await turn()).toMatchObject({ removed: 10, leads: false });
    await leave();
    expect(await turn()).toMatchObject({ leads: true });
    const again = await leader();
    await fill(10);
    expect(await turn()).toMatchObject({ removed: 0, leads: false });
    await again();
  });

  it("is patient with others who get on", async () => {
    await fill(10);
    const leave = await leader();
    const { turn, told } = turnsByHand();
    for (let n = 0; n < 6; n++) {
      expect(await turn()).toMatchObject({ removed: 0, leads: false });
      await pool.query("DELETE FROM sessions WHERE expiry = (SELECT min(expiry) FROM sessions)");
    }
    expect(told).toEqual([]);
    await leave();
  });

  it("tells when the rows themselves are locked, by an event and a warning", async () => {
    await fill(3);
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const events: CleanupEvent[] = [];
    const stop = listen({ cleanup: (event) => events.push(event) });
    const holder = await pool.connect();
    await holder.query("BEGIN");
    await holder.query("SELECT FROM sessions WHERE token LIKE 'dead %' FOR UPDATE");
    const store = open(database.pool(), { cleanupInterval: 1 });
    await expect.poll(() => events.some(({ heldUp }) => heldUp)).toBe(true);
    expect(events.slice(0, 2).map(({ heldUp }) => heldUp)).toEqual([undefined, undefined]);
    await holder.query("COMMIT");
    holder.release();
    await expect.poll(() => count("dead")).toBe(0);
    await store.close();
    stop();
    const codes = warn.mock.calls.map(([, options]) => (options as { code?: unknown } | undefined)?.code);
    expect(codes.filter((code) => code === "PGSTORE_CLEANUP_HELD_UP")).toHaveLength(1);
    warn.mockRestore();
  });

  it.each([1, "1", 2])("never keeps a second connection of a pool, here of %o with one in use", async (max) => {
    await fill(2000);
    const own = database.pool({ max: max as number });
    const listener = max === 2 ? await own.connect() : undefined;
    await listener?.query("LISTEN jobs");
    const errors: unknown[] = [];
    const options: PgStoreOptions = {
      cleanupInterval: 1,
      queryTimeout: "2s",
      onError: (error: unknown) => errors.push(error),
    };
    const others = [open(own, options), open(own, options)];
    const store = open(own, options);
    for (let left = 1; left > 0; left = await count("dead")) await Promise.all([store.find("a"), others[0]?.find("b")]);
    expect(errors).toEqual([]);
    await Promise.all([store, ...others].map((one) => one.close()));
    listener?.release();
    expect(own.idleCount).toBe(own.totalCount);
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

  it("gets no answer of many megabytes, where large rows come first, or after many small ones", async () => {
    const size = 500_000;
    const insert =
      "INSERT INTO sessions SELECT $1 || n, convert_to(repeat('x', $2::int), 'UTF8'), current_timestamp + interval '1 hour' FROM generate_series(1, $3::int) n";
    await pool.query(insert, ["a", size, 7]);
    await pool.query(insert, ["b", 1, 1500]);
    await pool.query(insert, ["c", size, 8]);
    let largest = 0;
    const query = async (text: string, values: unknown[]) => {
      const answer = await pool.query<Record<string, string | null>>(text, values);
      const length = answer.rows.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
      largest = Math.max(largest, length);
      return answer;
    };
    const store = open({ query });
    const seen: Record<string, number> = {};
    const tokens: string[] = [];
    for await (const { id: token, data } of store.all()) {
      tokens.push(token);
      seen[`${token[0]} ${data.length}`] = (seen[`${token[0]} ${data.length}`] ?? 0) + 1;
    }
    expect(seen).toEqual({ [`a ${size}`]: 7, "b 1": 1500, [`c ${size}`]: 8 });
    expect(new Set(tokens).size).toBe(1515);
    // A megabyte and one row more, as base64.
    expect(largest).toBeLessThan(((1 << 20) + size) * 1.4);
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
    for await (const { id: token } of store.all()) {
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
    for await (const { id: token } of store.all()) if (token !== "") break;
    expect(client.sent).toHaveLength(1);
    const controller = new AbortController();
    const reading = (async () => {
      for await (const _ of store.all({ signal: controller.signal })) controller.abort();
    })();
    await expect(reading).rejects.toThrow(/abort/);
  });
});
