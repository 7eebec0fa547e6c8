import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { PgStore, SchemaError, StoreUnavailableError, type Session, SessionManager } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { SCS_TABLE } from "../support/global-setup.ts";

let database: TestDatabase;
let scs: TestDatabase;
beforeAll(async () => {
  [database, scs] = await Promise.all([createDatabase({ template: false }), createDatabase({ template: false })]);
  await scs.pool({ max: 1 }).query(SCS_TABLE);
  await new PgStore(database.pool({ max: 1 }), { cleanupInterval: 0 }).migrate();
});
afterAll(() => Promise.all([database.drop(), scs.drop()]));

describe("a store that fails", () => {
  it("fails a login and a list with its own error, and says nothing of columns", async () => {
    const store = new PgStore(database.pool({ max: 1 }), { cleanupInterval: 0 });
    const manager = new SessionManager(store);
    const [session, ended] = [await manager.load(), await manager.load()];
    await ended.login("alice");
    await manager.commit(ended);
    await ended.destroy();
    expect(await manager.listByUser("nobody", { current: ended })).toEqual([]);
    expect(await manager.destroyByUser("nobody", { except: [ended] })).toBe(0);
    await session.login("alice");
    await store.close();
    await expect(manager.commit(session)).rejects.toThrow(StoreUnavailableError);
    await expect(manager.listByUser("alice")).rejects.toThrow(StoreUnavailableError);
  });
});

describe("destroyByTag", () => {
  it("ends more sessions than a page holds, and leaves what has expired or has another tag", async () => {
    const pool = database.pool({ max: 2 });
    await pool.query("DELETE FROM sessions");
    await pool.query(
      `INSERT INTO sessions (token, data, expiry, user_id, tags)
       SELECT 'row ' || n, 'x', now() + n * interval '1 hour', 'alice', ARRAY['a', CASE n WHEN 7 THEN 'other' ELSE 'tenant' END]
       FROM generate_series(0, 1002) n`,
    );
    const manager = new SessionManager(new PgStore(pool, { cleanupInterval: 0 }));
    expect(await manager.destroyByTag("tenant")).toBe(1001);
    expect(await manager.destroyByTag("tenant")).toBe(0);
    expect(await manager.destroyByTag("a")).toBe(1);
    await expect(manager.destroyByTag("")).rejects.toThrow(/^tag: expected 1 to 1024 bytes/);
    const { rows } = await pool
      .query<{ "QUERY PLAN": string }>(
        "SET enable_seqscan = off; EXPLAIN SELECT FROM sessions s WHERE s.tags @> ARRAY['tenant']",
      )
      .then((results) => (results as unknown as { rows: { "QUERY PLAN": string }[] }[])[1] ?? { rows: [] });
    expect(JSON.stringify(rows)).toContain("sessions_tags_idx");
  });
});

describe("a table of SCS (three columns)", () => {
  it("takes logins with a warning, and says what to run when asked for a user", async () => {
    const warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const store = new PgStore(scs.pool({ max: 2 }), { cleanupInterval: 0 });
    const manager = new SessionManager(store);
    for (let n = 0; n < 2; n++) {
      const session = await manager.load();
      await session.login("alice");
      await manager.commit(session);
      await session.renewToken();
      expect((await manager.load(session.token)).userId).toBe("alice");
    }
    expect(warnings.mock.calls).toEqual([
      [
        expect.stringMatching(/"sessions_users".*store\.migrate\(\)/),
        { type: "PgStoreWarning", code: "PGSTORE_NO_USERS" },
      ],
    ]);
    warnings.mockRestore();
    for (const asking of [manager.listByUser("alice"), manager.destroyByUser("alice")]) {
      await expect(asking).rejects.toThrow(SchemaError);
      await expect(asking).rejects.toThrow(/npx pgstore migrate/);
    }
    const tagged = await manager.load();
    await tagged.login("alice", { tags: ["sid"] });
    for (const asking of [() => manager.commit(tagged), () => manager.destroyByTag("sid")]) {
      await expect(asking()).rejects.toThrow(SchemaError);
      await expect(asking()).rejects.toThrow(/by tag.*npx pgstore migrate/);
    }
    const strict = new SessionManager(new PgStore(scs.pool({ max: 1 }), { cleanupInterval: 0 }), {
      maxSessionsPerUser: 1,
    });
    const session = await strict.load();
    vi.spyOn(process, "emitWarning").mockImplementationOnce(() => {});
    await session.login("bob");
    await expect(strict.commit(session)).rejects.toThrow(/npx pgstore migrate/);
  });

  it("is served by stores that were there before it was migrated, and by Go programs after it", async () => {
    const pool = scs.pool({ max: 2 });
    const [before, after] = [0, 0].map(() => new PgStore(pool, { cleanupInterval: 0 })) as [PgStore, PgStore];
    const old = new SessionManager(before, { idleTimeout: "1h", touchAfter: 0 });
    const session = await old.load();
    session.set("key", 1);
    await old.commit(session);
    session.set("key", 2);
    await old.commit(session);
    await after.migrate();
    session.set("key", 3);
    await old.commit(session);
    const touched = await old.load(session.token);
    await old.commit(touched);
    expect((await old.load(session.token)).get("key")).toBe(3);
    const users = new SessionManager(after);
    const login = await users.load(session.token);
    await login.login("alice");
    // What Go's pgstore does to save.
    await pool.query(
      `INSERT INTO sessions (token, data, expiry) VALUES ($1, $2, $3)
       ON CONFLICT (token) DO UPDATE SET data = EXCLUDED.data, expiry = EXCLUDED.expiry`,
      [login.id, Buffer.from((await after.find(login.id ?? ""))?.data ?? []), new Date(Date.now() + 60_000)],
    );
    expect((await users.listByUser("alice")).map(({ id }) => id)).toEqual([login.id]);
    await login.login("alice", { tags: ["sid"] });
    // On a table from before there were tags all else goes on.
    await scs.admin({ max: 1 }).query("ALTER TABLE sessions DROP COLUMN tags");
    const untagged = await users.load();
    await untagged.login("alice");
    await users.commit(untagged);
    await expect((await users.load(login.token)).renewToken()).rejects.toThrow(SchemaError);
    await expect(users.destroyByTag("sid")).rejects.toThrow(SchemaError);
    expect(await after.check()).toEqual([expect.stringMatching(/no column tags: run store\.migrate\(\)/)]);
    await after.migrate();
    await scs.admin({ max: 1 }).query("DROP INDEX sessions_tags_idx");
    expect(await after.check()).toEqual([expect.stringMatching(/column tags .* has no index: run store\.migrate\(\)/)]);
    await after.migrate();
    expect(await users.destroyByTag("sid")).toBe(0);
    expect(await users.destroyByUser("alice")).toBe(2);
  });
});

describe("a table on which a login had to do without its user", () => {
  const scsTable = async (more = ""): Promise<{ pool: pg.Pool; drop: () => Promise<void> }> => {
    const own = await createDatabase({ template: false });
    const pool = own.admin({ max: 2 });
    await pool.query(SCS_TABLE + more);
    return { pool, drop: () => own.drop() };
  };

  it("keeps the users of those that come after it was migrated", async () => {
    const { pool, drop } = await scsTable();
    const [store, other] = [0, 0].map(() => new PgStore(pool, { cleanupInterval: 0 })) as [PgStore, PgStore];
    const [manager, elsewhere] = [new SessionManager(store), new SessionManager(other)];
    const login = async (to: SessionManager): Promise<Session> => {
      const session = await to.load();
      await session.login("alice");
      await to.commit(session);
      return session;
    };
    vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    for (const each of [manager, elsewhere]) await login(each);
    vi.restoreAllMocks();
    await store.migrate();
    const late = await login(manager);
    expect((await manager.listByUser("alice")).map(({ id }) => id)).toEqual([late.id]);
    // A store that did not migrate it itself knows from the first answer about a user.
    expect(await elsewhere.destroyByUser("alice")).toBe(1);
    await login(elsewhere);
    expect(await elsewhere.destroyByUser("alice")).toBe(1);
    expect((await manager.load(late.token)).userId).toBe(undefined);
    await drop();
  });

  it.each(["last_seen integer", "last_seen timestamptz", "user_id integer, ADD COLUMN last_seen timestamptz"])(
    "leaves the application's own columns alone: %s",
    async (columns) => {
      const { pool, drop } = await scsTable(`; ALTER TABLE sessions ADD COLUMN ${columns}`);
      const store = new PgStore(pool, { cleanupInterval: 0 });
      const manager = new SessionManager<Record<string, unknown>>(store, { idleTimeout: "1h", touchAfter: 0 });
      const session = await manager.load();
      for (let n = 0; n < 4; n++) {
        session.set("key", n);
        await manager.commit(session);
        await manager.commit(await manager.load(session.token));
      }
      expect((await manager.load(session.token)).get("key")).toBe(3);
      expect((await pool.query("SELECT last_seen FROM sessions")).rows).toEqual([{ last_seen: null }]);
      expect(await store.operations?.stats()).toMatchObject({ live: 1, users: undefined });
      await drop();
    },
  );
});
