import pg from "pg";
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { PgStore, type PgStoreOptions } from "../../src/index.ts";
import { openPostgresJs } from "../support/clients.ts";
import { type CutProxy, startCutProxy } from "../support/cut-proxy.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { cookieOf } from "../support/serve.ts";
import { type FaultyClient, startApp } from "./support.ts";

let database: TestDatabase;
let proxy: CutProxy;
beforeAll(async () => {
  database = await createDatabase();
  return () => database.drop();
});
beforeEach(async () => {
  await database.pool({ max: 1 }).query("DELETE FROM sessions");
  proxy = await startCutProxy(Number(new URL(database.url).port));
  return () => proxy.close();
});

const CONNECTIONS = 3;
const REQUESTS = 200;

/** Clients that give up a connection which is not made in two seconds. */
const drivers: Record<string, () => FaultyClient & { waiting?: () => number }> = {
  "node-postgres": () => {
    const pool = new pg.Pool({
      connectionString: proxy.through(database.url),
      max: CONNECTIONS,
      connectionTimeoutMillis: 2000,
    });
    pool.on("error", () => {});
    return { db: pool, end: () => pool.end(), waiting: () => pool.waitingCount };
  },
  // Not every connection of postgres.js that hung is used again afterwards, so its end does not wait for all of them.
  "postgres.js": () => {
    const { db, close } = openPostgresJs(proxy.through(database.url), { max: CONNECTIONS, connect_timeout: 2 });
    return { db, end: close };
  },
};

describe.each(Object.keys(drivers))("connections that hang while they are made, with %s", (name) => {
  it("fail requests by the store's time, carry nothing out afterwards, and are replaced", async () => {
    const client = (drivers[name] ?? expect.unreachable)();
    const app = await startApp(client, { queryTimeout: "500ms" });
    const cookie = cookieOf(await app.get("/login/ada"));
    expect(await (await app.get("/inc", cookie)).json()).toMatchObject({ user: "ada", n: 1 });
    proxy.keep(true);
    proxy.killAll();
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(
        Array.from({ length: REQUESTS }, (_, n) =>
          n % 2 === 0 ? app.get("/inc", cookie) : app.get(`/set/late${round}-${n}`),
        ),
      );
      for (const answer of answers) expect([answer.status, answer.headers.getSetCookie()]).toEqual([500, []]);
      expect(client.waiting?.() ?? 0).toBeLessThanOrEqual(CONNECTIONS);
    }
    // Those that hang stay so; others get through.
    proxy.keep(false);
    await app.recovered();
    expect(await (await app.get("/inc", cookie)).json()).toMatchObject({ user: "ada", n: 2 });
    const rows = await database
      .pool({ max: 1 })
      .query("SELECT 1 FROM sessions WHERE convert_from(data, 'UTF8') LIKE '%late%'");
    expect(rows.rowCount).toBe(0);
  });

  it("that are made at last carry out nothing that has failed", async () => {
    proxy.keep(true);
    const app = await startApp((drivers[name] ?? expect.unreachable)(), { queryTimeout: "500ms" });
    const answers = await Promise.all(Array.from({ length: REQUESTS }, (_, n) => app.get(`/set/late${n}`)));
    for (const answer of answers) expect([answer.status, answer.headers.getSetCookie()]).toEqual([500, []]);
    proxy.keep(false);
    proxy.letGo();
    await app.recovered();
    const { rows } = await database.pool({ max: 1 }).query("SELECT convert_from(data, 'UTF8') AS data FROM sessions");
    expect(rows.filter(({ data }) => String(data).includes("late"))).toEqual([]);
  });
});

describe.each([1, 2, 3])("a pool of %i connections, one of them in use if there is a second", (max) => {
  it("serves several stores that clean up all the time", async () => {
    await database
      .pool({ max: 1 })
      .query(
        "INSERT INTO sessions SELECT 'dead ' || n, 'x', now() - interval '1 day' FROM generate_series(1, 20000) n",
      );
    const pool = database.pool({ max, connectionTimeoutMillis: 2000 });
    const listener = max === 1 ? undefined : await pool.connect();
    await listener?.query("LISTEN jobs");
    const errors: unknown[] = [];
    const options: PgStoreOptions = {
      cleanupInterval: 1,
      queryTimeout: "2s",
      onError: (error: unknown) => errors.push(error),
    };
    const others = Array.from({ length: 3 }, () => new PgStore(pool, options));
    const end = async (): Promise<void> => {
      listener?.release();
      await pool.end();
    };
    const app = await startApp({ db: pool, end }, options);
    onTestFinished(() => Promise.all(others.map((store) => store.close())).then(() => {}));
    const cookie = cookieOf(await app.get("/inc"));
    for (let round = 0; round < 40; round++) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => app.get("/inc", cookie)));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    }
    expect(errors).toEqual([]);
    const { rows } = await database
      .pool({ max: 1 })
      .query("SELECT count(*)::int AS n FROM sessions WHERE token LIKE 'dead%'");
    expect(rows).toEqual([{ n: 0 }]);
  });
});
