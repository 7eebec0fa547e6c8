import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { PgStore, SchemaError, SessionManager } from "../../src/index.ts";
import { USER_COLUMNS } from "../../src/lib/postgres/sql/tables.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

/** Roles belong to the whole server, on which other runs may be. */
const role = `drifting_${Math.random().toString(36).slice(2)}`;

let database: TestDatabase;
let admin: pg.Pool;
let pool: pg.Pool;
let owner: SessionManager<{ n: number }>;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  admin = database.admin({ max: 3 });
  await admin.query(`CREATE ROLE ${role} LOGIN`);
  const url = new URL(database.url);
  url.username = role;
  url.password = "";
  pool = database.admin({ connectionString: url.href, max: 2 });
});
beforeEach(async () => {
  await admin.query("DROP TABLE IF EXISTS sessions, sessions_users, sessions_history");
  const store = new PgStore(admin, { cleanupInterval: 0 });
  await store.migrate();
  owner = new SessionManager(store);
  await admin.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO ${role}`);
});
afterAll(async () => {
  await pool.end();
  await admin.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  await database.drop();
});

const asRole = (options = {}): SessionManager<{ n: number }> =>
  new SessionManager(new PgStore(pool, { cleanupInterval: 0 }), options);

describe("a role without rights on the users", () => {
  it.each(["", "SELECT", "SELECT, UPDATE"])("stores no login that their end would miss: with %s", async (rights) => {
    if (rights !== "") await admin.query(`GRANT ${rights} ON sessions_users TO ${role}`);
    const manager = asRole();
    const stored = await manager.load();
    stored.set("n", 1);
    await manager.commit(stored);
    await expect(stored.login("ada")).rejects.toThrow(SchemaError);
    const fresh = await manager.load();
    await expect(fresh.login("ada").then(() => manager.commit(fresh))).rejects.toThrow(/GRANT SELECT, INSERT/);
    expect((await admin.query("SELECT FROM sessions WHERE expiry > current_timestamp")).rowCount).toBe(1);
    // Reads work, and what no user has.
    const found = await manager.load(stored.token);
    found.update("n", (n) => (n ?? 0) + 1);
    await manager.commit(found);
    expect((await owner.load(stored.token)).get("n")).toBe(2);
    await admin.query(`GRANT SELECT, INSERT, UPDATE ON sessions_users TO ${role}`);
    const again = await manager.load(stored.token);
    await again.login("ada");
    expect(await owner.destroyByUser("ada")).toBe(1);
  });

  it("renews no session of a user under a token that their end would miss", async () => {
    const session = await owner.load();
    await session.login("ada");
    await owner.commit(session);
    const theirs = await asRole().load(session.token);
    await expect(theirs.renewToken()).rejects.toThrow(SchemaError);
    expect(await owner.destroyByUser("ada")).toBe(1);
  });
});

describe("a schema that loses what migrate has added", () => {
  it("stores no login where the table of the users is gone, or a column of the sessions", async () => {
    for (const loss of ["DROP TABLE sessions_users", "ALTER TABLE sessions DROP COLUMN last_seen"]) {
      await admin.query(loss);
      const session = await owner.load();
      await expect(session.login("ada").then(() => owner.commit(session))).rejects.toThrow(SchemaError);
      await new PgStore(admin, { cleanupInterval: 0 }).migrate();
      await session.login("ada");
      await owner.commit(session);
      expect(await owner.destroyByUser("ada")).toBe(1);
    }
  });

  it("goes on without the columns, at once and without an error", async () => {
    const warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const manager = new SessionManager<{ n: number }>(new PgStore(admin, { cleanupInterval: 0 }), {
      idleTimeout: "1h",
      touchAfter: 0,
    });
    const session = await manager.load();
    session.set("n", 0);
    await manager.commit(session);
    const write = async (): Promise<void> => {
      const loaded = await manager.load(session.token);
      await manager.commit(loaded);
      loaded.update("n", (n) => (n ?? 0) + 1);
      await manager.commit(loaded);
    };
    await write();
    await admin.query(`ALTER TABLE sessions ${USER_COLUMNS.map((column) => `DROP COLUMN ${column.name}`).join(", ")}`);
    await Promise.all([write(), write()]);
    const loaded = await manager.load(session.token);
    expect(loaded.get("n")).toBe(3);
    await loaded.login("ada");
    expect((await manager.load(loaded.token)).userId).toBe("ada");
    expect(warnings).toHaveBeenCalledTimes(1);
    warnings.mockRestore();
    expect(await new PgStore(admin, { cleanupInterval: 0 }).check()).toEqual([
      expect.stringMatching(/"sessions" has no column user_id.*run store\.migrate\(\)/),
    ]);
  });

  it("goes on when it may no longer note when a session was seen", async () => {
    const manager = asRole();
    const session = await manager.load();
    for (const n of [1, 2]) {
      session.set("n", n);
      await manager.commit(session);
    }
    await admin.query(`REVOKE UPDATE ON sessions FROM ${role}; GRANT UPDATE (data, expiry) ON sessions TO ${role}`);
    session.set("n", 3);
    await manager.commit(session);
    expect((await manager.load(session.token)).get("n")).toBe(3);
  });

  it("takes logins with their user as soon as another process has migrated it", async () => {
    await admin.query("DROP TABLE sessions_users; ALTER TABLE sessions DROP COLUMN user_id");
    vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const login = async (): Promise<void> => {
      const session = await owner.load();
      await session.login("ada");
      await owner.commit(session);
    };
    await login();
    vi.restoreAllMocks();
    await new PgStore(admin, { cleanupInterval: 0 }).migrate();
    await login();
    expect(await new SessionManager(new PgStore(admin, { cleanupInterval: 0 })).destroyByUser("ada")).toBe(1);
  });
});

describe("a client inside of a transaction of the application's", () => {
  it("goes on with it when a new token is taken", async () => {
    const client = await admin.connect();
    try {
      const store = new PgStore(client, { cleanupInterval: 0 });
      const [data, expiry] = [new Uint8Array([123, 125]), new Date(Date.now() + 60_000)];
      await store.save("old", data, expiry);
      await store.save("taken", data, expiry);
      await client.query("BEGIN; CREATE TABLE theirs (n int)");
      expect(await store.renew("old", "taken", data, data, expiry)).toBe(false);
      expect(await store.renew("old", "taken", data, data, expiry, { owner: { userId: "ada" } })).toBe(false);
      expect(await store.find("old")).toBeDefined();
      await client.query("COMMIT; DROP TABLE theirs");
    } finally {
      client.release();
    }
  });
});
