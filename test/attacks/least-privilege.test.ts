import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { ExpressSessionStore } from "../../src/express-session.ts";
import { type PgClient, PgStore, type PostgresSql, SchemaError, SessionManager, StoreError } from "../../src/index.ts";
import { nodeHandler } from "../../src/node.ts";
import { endedSessions, expressSessionContract } from "../contract/express-session-contract.ts";
import { storeContract } from "../contract/store-contract.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { cookieOf, serving } from "../support/serve.ts";

/** Roles belong to the whole server, on which other runs may be. */
const suffix = Math.random().toString(36).slice(2);
const [migrator, application, stranger] = [`migrator_${suffix}`, `application_${suffix}`, `stranger_${suffix}`];

let database: TestDatabase;
let admin: pg.Pool;
let pool: pg.Pool;
let sql: postgres.Sql;

/** Logs in as a role that can do nothing but what it was granted. */
const as = (role: string): string => {
  const url = new URL(database.url);
  url.username = role;
  url.password = "secret";
  return url.href;
};

beforeAll(async () => {
  database = await createDatabase({ template: false });
  admin = database.pool({ max: 2 });
  for (const role of [migrator, application, stranger]) {
    await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret' NOSUPERUSER NOCREATEDB NOCREATEROLE`);
  }
  await admin.query(`CREATE SCHEMA owned AUTHORIZATION ${migrator}; REVOKE ALL ON SCHEMA public FROM PUBLIC`);
  const migrating = new pg.Pool({ connectionString: as(migrator), max: 1 });
  // As an older version had it, with what that needed; whoever may write sessions is granted what the new one adds.
  await migrating.query(
    "CREATE TABLE owned.sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)",
  );
  await migrating.query(
    "CREATE TABLE owned.session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)",
  );
  await migrating.query(`GRANT USAGE ON SCHEMA owned TO ${application}`);
  await migrating.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON owned.sessions, owned.session TO ${application}`);
  await new PgStore(migrating, { schema: "owned", cleanupInterval: 0 }).migrate();
  await migrating.end();
  pool = new pg.Pool({ connectionString: as(application), max: 5 });
  sql = postgres(as(application), { max: 5, onnotice: () => {} });
});
beforeEach(() => admin.query("TRUNCATE owned.sessions, owned.session"));
afterAll(async () => {
  await Promise.all([pool.end(), sql.end()]);
  for (const role of [migrator, application, stranger]) await admin.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  await database.drop();
});

const expire = (table: string, column: string) => async (): Promise<void> => {
  await admin.query(`UPDATE owned.${table} SET ${column} = current_timestamp - interval '1 minute'`);
};

describe("a role that may SELECT, INSERT, UPDATE and DELETE on the table, and nothing else", () => {
  const clients: Record<string, () => PgClient | PostgresSql> = {
    "node-postgres": () => pool,
    "postgres.js": () => sql,
  };
  for (const [name, client] of Object.entries(clients)) {
    describe(`is all that the store needs, with ${name}`, () => {
      for (const [title, run] of Object.entries(storeContract)) {
        it(title, async () => {
          const store = new PgStore(client(), { schema: "owned", cleanupInterval: 0 });
          const expireOne = async (token: string): Promise<void> => {
            const update =
              "UPDATE owned.sessions SET expiry = current_timestamp - interval '1 minute' WHERE token = $1";
            await admin.query(update, [token]);
          };
          await run({ store, expire: expireOne });
        });
      }
    });
  }

  describe("is all that the store of express-session needs", () => {
    for (const [title, run] of Object.entries({ ...expressSessionContract, ...endedSessions })) {
      it(title, async () => {
        const userOf = (session: { passport?: { user?: unknown } }): unknown => session.passport?.user;
        const options = { schema: "owned", layout: "connect-pg-simple", cleanupInterval: 0, userOf } as const;
        await run({ store: new ExpressSessionStore({ pool, ...options }), expireAll: expire("session", "expire") });
      });
    }
  });

  it("is all that an application needs, cleanup and check included", async () => {
    const errors: unknown[] = [];
    const store = new PgStore(pool, { schema: "owned", cleanupInterval: 10, onError: (error) => errors.push(error) });
    const manager = new SessionManager<{ n: number }>(store, { idleTimeout: "1h", touchAfter: 0 });
    const listener = nodeHandler(manager, async (request, response) => {
      const session = manager.sessionOf(request);
      if (request.url === "/login") await session.login("ada");
      if (request.url === "/logout") await session.logout();
      else session.update("n", (n = 0) => n + 1);
      response.end(`${session.userId} ${session.get("n")}`);
    });
    await serving(listener, async ({ get }) => {
      const first = cookieOf(await get("/"));
      const ada = cookieOf(await get("/login", first));
      expect(await (await get("/", ada)).text()).toBe("ada 3");
      expect(await manager.listByUser("ada")).toHaveLength(1);
      expect((await get("/logout", ada)).status).toBe(200);
      expect(await manager.destroyByUser("ada")).toBe(0);
    });
    expect(await store.check()).toEqual([]);
    await admin.query("INSERT INTO owned.sessions VALUES ('old', 'x', current_timestamp - interval '1 h')");
    await expect
      .poll(async () => (await admin.query("SELECT FROM owned.sessions WHERE token = 'old'")).rowCount)
      .toBe(0);
    await store.close();
    expect(errors).toEqual([]);
  });

  it("logs nobody in where it may not use what is new, and is told what to grant", async () => {
    const warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const grant = `GRANT SELECT, INSERT, UPDATE, DELETE ON "owned"."sessions_users"`;
    await admin.query(`REVOKE ALL ON owned.sessions_users FROM ${application}`);
    onTestFinished(async () => {
      warnings.mockRestore();
      await admin.query(`${grant} TO ${application}`);
    });
    const manager = new SessionManager<{ n: number }>(new PgStore(pool, { schema: "owned", cleanupInterval: 0 }));
    const visitor = await manager.load();
    visitor.set("n", 1);
    await manager.commit(visitor);
    // Stored without its user, a session would outlast destroyByUser.
    for (const token of [undefined, visitor.token]) {
      const session = await manager.load(token);
      // With a session that is stored already, it is login() that rejects.
      const loggedIn = session.login("ada").then(() => manager.commit(session));
      const error: unknown = await loggedIn.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(SchemaError);
      expect((error as SchemaError).message).toContain(grant);
    }
    await expect(manager.destroyByUser("ada")).rejects.toThrow(grant);
    // Without a login all is as before.
    const unchanged = await manager.load(visitor.token);
    expect([unchanged.userId, unchanged.get("n")]).toEqual([undefined, 1]);
    expect((await admin.query("SELECT FROM owned.sessions")).rowCount).toBe(1);
    expect(warnings).not.toHaveBeenCalledWith(expect.stringContaining("without its user"), expect.anything());
    await admin.query(`${grant} TO ${application}`);
    await unchanged.login("ada");
    await manager.commit(unchanged);
    expect(await manager.listByUser("ada")).toHaveLength(1);
    expect(await manager.destroyByUser("ada")).toBe(1);
  });

  it("goes on as before where it may write the three columns of SCS only, after somebody has added others", async () => {
    const columns = "(token, data, expiry)";
    await admin.query(`REVOKE INSERT, UPDATE ON owned.sessions FROM ${application}`);
    await admin.query(`GRANT INSERT ${columns}, UPDATE ${columns} ON owned.sessions TO ${application}`);
    const manager = new SessionManager<{ n: number }>(new PgStore(pool, { schema: "owned", cleanupInterval: 0 }));
    const session = await manager.load();
    for (let n = 0; n < 3; n++) {
      session.set("n", n);
      await manager.commit(session);
      // Reading the columns is allowed, and must not be taken for more.
      expect(await manager.listByUser("ada")).toEqual([]);
    }
    expect((await manager.load(session.token)).get("n")).toBe(2);
    await admin.query(`GRANT INSERT, UPDATE ON owned.sessions TO ${application}`);
  });

  it("can't create a table, which fails by name, and changes nothing", async () => {
    const store = new PgStore(pool, { schema: "owned", table: "another", cleanupInterval: 0 });
    await expect(store.migrate()).rejects.toThrow(StoreError);
    await expect(store.migrate()).rejects.toThrow(/another/);
    await expect(store.find("t")).rejects.toThrow(SchemaError);
  });

  it("is more than a stranger has: an error that names the table and quotes nothing", async () => {
    const strange = new pg.Pool({ connectionString: as(stranger), max: 1 });
    const store = new PgStore(strange, { schema: "owned", cleanupInterval: 0 });
    const outcome = store.create("mytoken", new TextEncoder().encode("mydata"), new Date(Date.now() + 60_000));
    await expect(outcome).rejects.toMatchObject({ name: "StoreError", message: /"owned"\."sessions"/ });
    const error: unknown = await outcome.catch((thrown: unknown) => thrown);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toMatch(/mytoken|mydata|bXlkYXRh/);
    await strange.end();
  });
});
