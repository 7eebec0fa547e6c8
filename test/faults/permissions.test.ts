import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SchemaError } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { cookieOf } from "../support/serve.ts";
import { driverNames, type FaultyApp, load, openClient, startApp } from "./support.ts";

/** Roles belong to the whole server, on which other runs may be. */
const role = `losing_${Math.random().toString(36).slice(2)}`;
const TABLES = "sessions, sessions_users, sessions_history";
const GIVE = `GRANT SELECT, INSERT, UPDATE, DELETE ON ${TABLES} TO ${role}`;

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await administer(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA public TO ${role}; ${GIVE}`);
});
afterAll(async () => {
  await administer(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  await database.drop();
});

async function administer(sql: string): Promise<void> {
  const pool = database.admin({ max: 1 });
  await pool.query(sql);
  await pool.end();
}

/** What the role loses while requests run, and which of them fail from then on: a request for each session. */
interface Drift {
  sql: string;
  /** Requests are GETs of /inc of sessions that are there already. */
  requests: "work" | "fail";
  login: number;
  renewal: number;
  visitor: number;
  /** What the end of a user's sessions does meanwhile. */
  revoke: "works" | "fails";
}

const drifts: Record<string, Drift> = {
  "every right on the table of the users": {
    sql: `REVOKE ALL ON sessions_users FROM ${role}`,
    requests: "work",
    // Stored without its user, the end of the user's sessions would miss it.
    login: 500,
    renewal: 500,
    visitor: 200,
    revoke: "fails",
  },
  "every right on the history": {
    sql: `REVOKE ALL ON sessions_history FROM ${role}`,
    requests: "work",
    login: 200,
    renewal: 200,
    visitor: 200,
    revoke: "works",
  },
  "the right to note when a session was seen": {
    sql: `REVOKE UPDATE ON sessions FROM ${role}; GRANT UPDATE (data, expiry) ON sessions TO ${role}`,
    requests: "work",
    login: 200,
    renewal: 200,
    visitor: 200,
    revoke: "works",
  },
  "the right to insert whose session it is": {
    sql: `REVOKE INSERT ON sessions FROM ${role}; GRANT INSERT (token, data, expiry) ON sessions TO ${role}`,
    requests: "work",
    login: 500,
    renewal: 500,
    visitor: 200,
    revoke: "works",
  },
  "the right to write sessions": {
    sql: `REVOKE INSERT, UPDATE, DELETE ON sessions FROM ${role}`,
    requests: "fail",
    login: 500,
    renewal: 500,
    visitor: 500,
    revoke: "fails",
  },
  "the right to read sessions": {
    sql: `REVOKE SELECT ON sessions FROM ${role}`,
    requests: "fail",
    login: 500,
    renewal: 500,
    visitor: 500,
    revoke: "fails",
  },
};

const asRole = (): string => {
  const url = new URL(database.url);
  url.username = role;
  url.password = "secret";
  return url.href;
};

/** Resolves to the statuses; with an error no cookie is set. */
async function statusesOf(app: FaultyApp, user: string): Promise<Pick<Drift, "login" | "renewal" | "visitor">> {
  const [login, renewal, visitor] = await Promise.all([
    app.get("/login/bob"),
    app.get("/renew", user),
    app.get("/inc"),
  ]);
  for (const response of [login, renewal, visitor]) {
    if (response.status === 500) expect(response.headers.getSetCookie()).toEqual([]);
    expect(await response.text()).not.toMatch(/sessions|permission|GRANT/);
  }
  return { login: login.status, renewal: renewal.status, visitor: visitor.status };
}

describe.each(driverNames)("a role that loses a right while requests run, with %s", (driver) => {
  it.each(Object.keys(drifts))("%s: works on or fails closed, and recovers", async (name) => {
    const { sql, requests, revoke, ...expected } = drifts[name] ?? expect.unreachable();
    const app = await startApp(openClient(driver, asRole()));
    const [user = "", kept = ""] = await Promise.all(
      ["ada", "ada"].map(async (id) => cookieOf(await app.get(`/login/${id}`))),
    );
    const other = cookieOf(await app.get("/login/eve"));
    let over = false;
    const loading = load(app, 4, () => over);
    try {
      await administer(sql);
      expect(await statusesOf(app, user)).toEqual(expected);
      const revoking = app.manager.destroyByUser("eve");
      if (revoke === "works") expect(await revoking).toBe(1);
      else await expect(revoking).rejects.toThrow(SchemaError);
      await administer(GIVE);
      // All of it is as before, without a restart.
      expect(await statusesOf(app, kept)).toEqual({ login: 200, renewal: 200, visitor: 200 });
      await app.recovered();
    } finally {
      await administer(GIVE);
      over = true;
      await loading;
    }
    const told = await loading;
    expect(told.wrong).toEqual([]);
    if (requests === "work") expect(told.failed).toBe(0);
    expect(await (await app.get("/get", other)).json()).toEqual(
      revoke === "works" ? { keys: [] } : expect.objectContaining({ user: "eve" }),
    );
    for (const id of ["ada", "bob", "eve"]) {
      await app.manager.destroyByUser(id);
      expect(await app.manager.listByUser(id)).toEqual([]);
    }
  });
});
