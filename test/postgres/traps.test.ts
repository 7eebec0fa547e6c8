import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ExpressSessionStore } from "../../src/express-session.ts";
import { PgStore, SessionManager } from "../../src/index.ts";
import { connectPgSimpleLayout, scsLayout } from "../../src/lib/postgres/sql/layout.ts";
import { operationsFor } from "../../src/lib/postgres/sql/operations.ts";
import { statementsFor, tableStatements } from "../../src/lib/postgres/sql/statements.ts";
import { tableName } from "../../src/lib/postgres/sql/table-name.ts";
import { pgstore } from "../cli/run.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { statementsIn } from "../support/statements.ts";
import { layTraps } from "../support/traps.ts";

/** Roles belong to the whole server, on which other runs may be. */
const role = `trapped_${Math.random().toString(36).slice(2)}`;
const GRACE = 120_000;

let database: TestDatabase;
let admin: pg.Pool;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  admin = database.pool({ max: 2 });
  expect(await layTraps(admin, "traps", await functionsIn(statements()))).toBeGreaterThan(3000);
  await admin.query(`CREATE ROLE ${role} LOGIN; GRANT ALL ON SCHEMA public TO ${role}`);
});
afterAll(async () => {
  await admin.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  await database.drop();
});

/** The functions of pg_catalog that these texts name, and those that operators' texts and the server's tables use. */
async function functionsIn(texts: string[]): Promise<string[]> {
  const named = [...texts.join("\n").matchAll(/([a-z_0-9]+)\s*\(/g)].map(([, name = ""]) => name);
  const { rows } = await admin.query<{ name: string }>(
    "SELECT DISTINCT proname::text AS name FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY ($1)",
    [[...named, ...OF_COMMANDS]],
  );
  return rows.map(({ name }) => name);
}

/** What `migrate`, `check` and the command line also call. */
const OF_COMMANDS = [
  "age",
  "current_database",
  "current_schema",
  "current_setting",
  "format",
  "format_type",
  "has_schema_privilege",
  "has_table_privilege",
  "hashtext",
  "octet_length",
  "pg_advisory_xact_lock",
  "pg_backend_pid",
  "pg_get_indexdef",
  "pg_get_userbyid",
  "pg_has_role",
  "pg_is_in_recovery",
  "pg_options_to_table",
  "pg_try_advisory_xact_lock",
  "quote_ident",
  "round",
  "set_config",
  "string_agg",
  "unnest",
  "aclexplode",
];

/** A connection text of that role, with the traps first in its search path. */
function trapped(path: string): string {
  const url = new URL(database.url);
  url.username = role;
  url.password = "";
  url.searchParams.set("options", `-c search_path=${path}`);
  return url.href;
}

function statements(table = tableName("sessions", undefined)): string[] {
  const all = statementsFor(table, scsLayout, GRACE);
  return statementsIn([
    operationsFor(table, scsLayout, GRACE),
    all,
    all.counted(undefined, true),
    all.counted(50, true),
    all.bySessionsIn(50),
  ]).map(([, text]) => text);
}

/** Its layout knows no users, and no conditional writes: JSON has no equality. */
function dropInStatements(): string[] {
  const table = tableName("session", undefined);
  const { find, save, create, touch, upsert, update, setExpiry, end, ...others } = operationsFor(
    table,
    connectPgSimpleLayout,
    GRACE,
  );
  return statementsIn([
    { find, save, create, touch, upsert, update, setExpiry, end, delete: others.delete },
    tableStatements(table, connectPgSimpleLayout, GRACE),
  ]).map(([, text]) => text);
}

// PostgreSQL looks in pg_catalog first, unless the path names it.
describe.each(["traps,public", "traps,pg_catalog,public"])("overloads in a schema of the search path %s", (path) => {
  let db: pg.Pool;
  beforeAll(async () => {
    db = new pg.Pool({ connectionString: trapped(path), max: 2 });
    await admin.query("DROP TABLE IF EXISTS sessions, sessions_users, sessions_history, session");
  });
  afterAll(() => db.end());

  it("are not called by migrate and check, on a table that is new, old or done", async () => {
    const store = new PgStore(db, { cleanupInterval: 0, schema: "public" });
    for (const left of ["sessions", "sessions_users, sessions_history", "sessions_history"]) {
      await admin.query(`DROP TABLE IF EXISTS ${left}`);
      await store.migrate();
      expect(await store.check()).toEqual([]);
    }
    await admin.query("DROP TABLE sessions, sessions_users, sessions_history");
    await db.query(
      "CREATE TABLE public.sessions (token text PRIMARY KEY, data bytea NOT NULL, expiry timestamptz NOT NULL)",
    );
    const unnamed = new PgStore(db, { cleanupInterval: 0 });
    await unnamed.migrate();
    expect(await unnamed.check()).toEqual([]);
  });

  it("are in no plan of a statement", async () => {
    await db.query(
      "CREATE TABLE public.session (sid varchar NOT NULL PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)",
    );
    const client = await db.connect();
    try {
      for (const text of [...statements(), ...dropInStatements()]) {
        const parameters = new Map([...text.matchAll(/\$(\d+)::text(\[\])?/g)].map(([, n, many]) => [Number(n), many]));
        const ordered = Array.from(parameters).toSorted(([a], [b]) => a - b);
        const values = ordered.map(([, many]) => (many === undefined ? "'1234'" : "'{1234}'"));
        await client.query(`PREPARE planned AS ${text}`);
        const call = values.length === 0 ? "planned" : `planned(${values.join(", ")})`;
        await client.query(`EXPLAIN EXECUTE ${call}`).catch((error: unknown) => {
          throw new Error(text, { cause: error });
        });
        await client.query("DEALLOCATE planned");
      }
    } finally {
      client.release();
    }
  });

  it("are not called by sessions, users and the cleanup", async () => {
    const store = new PgStore(db, { cleanupInterval: 0, endedGrace: 0 });
    const manager = new SessionManager<Record<string, unknown>>(store, {
      idleTimeout: "1h",
      touchAfter: 0,
      maxSessionsPerUser: 1,
    });
    const sessions = await Promise.all([manager.load(), manager.load()]);
    for (const session of sessions) {
      session.set("n", 1);
      await manager.commit(session);
    }
    for (const { token } of sessions) {
      const session = await manager.load(token);
      session.update("n", (n) => Number(n) + 1);
      await manager.commit(session);
      await session.login("ada").catch(() => {});
    }
    const [one] = await Promise.all(sessions.map(({ token }) => manager.load(token)));
    await manager.commit(one ?? (await manager.load()));
    const session = await manager.load();
    await session.login("ada");
    await manager.commit(session);
    const next = await manager.load(session.token);
    await next.renewToken();
    await manager.commit(next);
    expect(await manager.listByUser("ada")).toHaveLength(1);
    expect(await store.operations?.searchUsers("a", 10)).toHaveLength(1);
    for (const order of ["lastLogin", "sessions"] as const) {
      expect((await store.operations?.listUsers({ order, limit: 10 }))?.users).toHaveLength(1);
    }
    expect((await store.operations?.findByAddress(["192.0.2.1"], 10))?.sessions).toEqual([]);
    expect((await store.operations?.findSession(next.id ?? ""))?.userId).toBe("ada");
    expect((await store.operations?.place())?.database).toBe(database.name);
    expect((await store.operations?.stats())?.live).toBeGreaterThan(0);
    expect(await store.operations?.history(new Date(Date.now() - 60_000), 6)).toHaveLength(6);
    expect(await manager.destroyByUser("ada")).toBe(1);
    await store.save("gone", new Uint8Array(3), new Date(1000));
    expect(await store.deleteExpired()).toBeGreaterThan(0);
    expect(await store.count()).toBeGreaterThanOrEqual(0);
    await store.close();
  });

  it("are not called by the periodic cleanup, which leads by a lock", async () => {
    const store = new PgStore(db, { cleanupInterval: 10 });
    await store.save("old", new Uint8Array(3), new Date(1000));
    try {
      await expect.poll(async () => (await admin.query("SELECT FROM sessions WHERE token = 'old'")).rowCount).toBe(0);
    } finally {
      await store.close();
    }
  });

  it("are not called by the store for express-session, on either layout", async () => {
    for (const layout of ["pgstore", "connect-pg-simple"] as const) {
      const store = new ExpressSessionStore({ pool: db, cleanupInterval: 0, layout });
      const session = { cookie: { originalMaxAge: 60_000, expires: new Date(Date.now() + 60_000) } };
      await store.set("a", session);
      await store.touch("a", session);
      expect(await store.get("a")).toBeDefined();
      expect(await store.length()).toBe(1);
      expect(await store.all()).toHaveLength(1);
      await store.destroy("a");
      expect(await store.get("a")).toBe(undefined);
      await store.clear();
      await store.close();
    }
  });

  it("are not called by the command line", async () => {
    const url = ["--url", trapped(path)];
    const store = new PgStore(db, { cleanupInterval: 0 });
    await store.create("t".repeat(43), new Uint8Array([123, 125]), new Date(Date.now() + 60_000), {
      owner: { userId: "ada" },
    });
    for (const command of [
      ["migrate"],
      ["check"],
      ["check", "--deep"],
      ["stats"],
      ["users"],
      ["users", "--sort", "sessions"],
      ["list", "--user", "ada"],
      ["show", "--user", "ada", "--id", "t"],
      ["import", "--from", "connect-pg-simple"],
      ["cleanup", "--dry-run"],
      ["cleanup"],
      ["revoke", "--user", "ada", "--yes"],
      ["revoke", "--all", "--yes"],
    ]) {
      const { out, err } = await pgstore(...command, ...url);
      expect(err, command.join(" ")).toBe("");
      expect(out, command.join(" ")).not.toMatch(/42883|42501|P0001|refused/);
    }
  });
});
