import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { PgStore, StoreUnavailableError } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { openPglite } from "../support/pglite.ts";
import { cookieOf } from "../support/serve.ts";
import { driverNames, type FaultyClient, openClient, startApp } from "./support.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  return () => database.drop();
});

const CONNECTIONS = 2;
const REQUESTS = 50;

interface UsedUp {
  client: FaultyClient;
  /** Has the application's own queries take every connection, until the returned function is called. */
  useUp(): Promise<() => Promise<void>>;
}

const once = (work: () => Promise<void>): (() => Promise<void>) => {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
};

/** Queries that wait for a lock which another client holds. */
function onServer(client: FaultyClient): UsedUp {
  const holders = database.pool({ max: 1 });
  const useUp: UsedUp["useUp"] = async () => {
    const holder = await holders.connect();
    await holder.query("SELECT pg_advisory_lock(22)");
    const sleep = "SELECT pg_advisory_lock_shared(22), pg_advisory_unlock_shared(22)";
    const sleepers = Array.from({ length: CONNECTIONS }, async () => {
      await ("unsafe" in client.db ? client.db.unsafe(sleep, []) : client.db.query(sleep, []));
    });
    const waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    await expect.poll(async () => (await holder.query(waiting)).rowCount).toBe(CONNECTIONS);
    return once(async () => {
      await holder.query("SELECT pg_advisory_unlock(22)");
      holder.release();
      await Promise.all(sleepers);
    });
  };
  return { client, useUp };
}

/** Its only connection is in a transaction of the application's. */
async function onPGlite(): Promise<UsedUp> {
  const db = await openPglite();
  await new PgStore(db, { cleanupInterval: 0 }).migrate();
  const useUp: UsedUp["useUp"] = () =>
    new Promise((began) => {
      const transaction = db.transaction(
        () =>
          new Promise<void>((end) =>
            began(async () => {
              end();
              await transaction;
            }),
          ),
      );
    });
  return { client: { db, end: () => db.close() }, useUp };
}

const ways: Record<string, () => UsedUp | Promise<UsedUp>> = {
  ...Object.fromEntries(
    driverNames.map((driver) => [driver, () => onServer(openClient(driver, database.url, CONNECTIONS))]),
  ),
  "postgres.js that puts no statement behind another": () =>
    // Its types don't have this option, but its URL does.
    onServer(openClient("postgres.js", `${database.url}?max_pipeline=0`, CONNECTIONS)),
  PGlite: onPGlite,
};

describe.each(Object.keys(ways))("a pool that the application's own queries use up, with %s", (name) => {
  it("ends each request by the store's time, takes nobody for anonymous, and carries nothing out afterwards", async () => {
    const { client, useUp } = await (ways[name] as () => Promise<UsedUp>)();
    const app = await startApp(client, { queryTimeout: "1s" });
    const cookie = cookieOf(await app.get("/login/ada"));
    expect(await (await app.get("/inc", cookie)).json()).toMatchObject({ user: "ada", n: 1 });
    const free = await useUp();
    onTestFinished(free);
    const answers = await Promise.all(
      Array.from({ length: REQUESTS }, (_, n) => app.get(n % 2 === 0 ? "/inc" : "/get", cookie)),
    );
    // The queries of the application are under way still.
    for (const answer of answers) {
      expect([answer.status, answer.headers.getSetCookie()]).toEqual([500, []]);
      expect(await answer.text()).not.toMatch(/postgres|connection|pool|SQL/i);
    }
    // Nobody's session is needed for this one.
    expect((await app.get("/get")).status).toBe(200);
    await free();
    await app.recovered();
    expect(await (await app.get("/inc", cookie)).json()).toMatchObject({ user: "ada", n: 2 });
  });

  it("fails a commit by the store's time, and loses nothing that was there", async () => {
    const { client, useUp } = await (ways[name] as () => Promise<UsedUp>)();
    const app = await startApp(client, { queryTimeout: "1s" });
    const cookie = cookieOf(await app.get("/login/ada"));
    const session = await app.manager.load(cookie?.slice("session=".length));
    const free = await useUp();
    onTestFinished(free);
    session.set("n", 1);
    await expect(app.manager.commit(session)).rejects.toThrow(StoreUnavailableError);
    await free();
    await app.recovered();
    const { user, n } = (await (await app.get("/inc", cookie)).json()) as { user: string; n: number };
    expect(user).toBe("ada");
    // postgres.js puts it behind the application's query, on the same connection, from where nobody takes it back.
    expect(name === "postgres.js" ? [1, 2] : [1]).toContain(n);
  });
});
