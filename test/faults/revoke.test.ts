import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { cookieOf } from "../support/serve.ts";
import { driverNames, load, openClient, startApp } from "./support.ts";

const SESSIONS = 300_000;
const DEVICES = 5;

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());
beforeEach(() => database.admin({ max: 1 }).query("TRUNCATE sessions, sessions_users, sessions_history"));

describe.each(driverNames)(`${SESSIONS} sessions of one user, with %s`, (driver) => {
  it("are revoked while requests go on, none of which fails, and later logins live", async () => {
    const app = await startApp(openClient(driver, database.url));
    const admin = database.admin({ max: 1 });
    const devices = await Promise.all(
      Array.from({ length: DEVICES }, async () => cookieOf(await app.get("/login/ada"))),
    );
    await admin.query(
      `INSERT INTO sessions (token, data, expiry, user_id, created, last_seen)
       SELECT 'session ' || n, '{}', now() + interval '1 day', 'ada', now() - n * interval '1 millisecond', now()
       FROM generate_series(1, ${SESSIONS}) n`,
    );
    await admin.query("ANALYZE sessions");
    const work = { isOver: false };
    const visitors = load(app, 8, () => work.isOver);
    // The user's own devices go on as well: their sessions end under their requests.
    const statuses = new Set<number>();
    const used = devices.map(async (cookie) => {
      while (!work.isOver) statuses.add((await app.get("/inc", cookie)).status);
    });
    expect(await app.manager.destroyByUser("ada")).toBe(SESSIONS + DEVICES);
    const login = cookieOf(await app.get("/login/ada"));
    work.isOver = true;
    await Promise.all(used);
    expect([...statuses]).toEqual([200]);
    const told = await visitors;
    expect([told.wrong, told.failed]).toEqual([[], 0]);
    expect(told.acknowledged).toBeGreaterThan(0);
    for (const cookie of devices) expect(await (await app.get("/get", cookie)).json()).not.toHaveProperty("user");
    expect(await (await app.get("/get", login)).json()).toMatchObject({ user: "ada" });
    const { rows } = await admin.query(
      "SELECT count(*)::int AS n FROM sessions WHERE user_id = 'ada' AND expiry > now()",
    );
    expect(rows).toEqual([{ n: 1 }]);
  });
});
