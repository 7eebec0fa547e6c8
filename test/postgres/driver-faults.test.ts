import { setImmediate as turn } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type PgClient, PgStore, StoreUnavailableError } from "../../src/index.ts";
import type { OpenClient } from "../contract/postgres-host.ts";
import { clients, type Driver } from "../support/clients.ts";
import { type CutProxy, startCutProxy } from "../support/cut-proxy.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const soon = (): Date => new Date(Date.now() + 60_000);
const data = new Uint8Array([1, 2, 3]);

/** One operation of each kind, each of which must go right. */
async function everything(store: PgStore, token: string): Promise<void> {
  await store.save(token, data, soon());
  expect(await store.create(`${token} 2`, data, soon())).toBe(true);
  expect(await store.replace(token, data, data, soon())).toBe(true);
  expect(await store.renew(token, `${token} 3`, data, data, soon())).toBe(true);
  expect(await store.find(`${token} 3`)).toBeDefined();
  expect(await store.touch(`${token} 3`, soon())).toBe(true);
  expect(await store.delete(`${token} 3`)).toBe(true);
}

// What escapes the operations, an exception or a rejection, fails the run.
describe.each(Object.keys(clients) as Driver[])("connections of %s that are killed", (driver) => {
  let proxy: CutProxy;
  let opened: OpenClient[];
  beforeEach(async () => {
    proxy = await startCutProxy(Number(new URL(database.url).port));
    opened = [];
  });
  afterEach(async () => {
    await Promise.all(opened.map((client) => client.close()));
    await proxy.close();
  });
  async function open(max: number): Promise<PgStore> {
    const client = await clients[driver](proxy.through(database.url), { max, name: "victim" });
    opened.push(client);
    return new PgStore(client.db, { cleanupInterval: 0 });
  }
  const victims = "FROM pg_stat_activity WHERE application_name = 'victim' AND datname = current_database()";
  const kill = async (): Promise<number> =>
    (await database.pool({ max: 1 }).query(`SELECT pg_terminate_backend(pid) ${victims}`)).rowCount ?? 0;
  const alive = async (): Promise<number> =>
    (await database.pool({ max: 1 }).query(`SELECT 1 ${victims}`)).rowCount ?? 0;

  it("while idle: the next operations work", async () => {
    const store = await open(3);
    await Promise.all([store.find("a"), store.delete("b"), store.touch("c", soon())]);
    expect(await kill()).toBe(3);
    await expect.poll(alive).toBe(0);
    // The server's end of them is gone, ours may take a little longer.
    const known = (): number => (opened.at(-1)?.db as { totalCount?: number } | undefined)?.totalCount ?? 0;
    await expect.poll(known).toBe(0);
    // postgres.js doesn't tell how many it has: a statement on each finds those out that are dead and not known to be.
    const { db, query } = opened.at(-1) ?? expect.unreachable();
    const ask = query ?? ((text: string) => (db as PgClient).query(text));
    await Promise.allSettled([1, 2, 3].map(() => ask("SELECT 1")));
    await turn();
    await everything(store, `${driver} idle`);
  });

  it("in the middle of a statement: it fails, and the next ones work", async () => {
    const store = await open(1);
    const token = `${driver} busy`;
    await store.save(token, data, soon());
    // A lock that keeps the statement waiting until its connection is gone.
    const blocker = await database.pool({ max: 1 }).connect();
    await blocker.query("BEGIN");
    await blocker.query("SELECT 1 FROM sessions WHERE token = $1 FOR UPDATE", [token]);
    const failing = expect(store.save(token, data, soon())).rejects.toThrow(StoreUnavailableError);
    const watcher = database.pool({ max: 1 });
    const blocked = `SELECT 1 ${victims} AND wait_event_type = 'Lock'`;
    await expect.poll(async () => (await watcher.query(blocked)).rowCount).toBe(1);
    expect(await kill()).toBe(1);
    await failing;
    await blocker.query("ROLLBACK");
    blocker.release();
    await everything(store, token);
  });

  it("in the middle of an answer to the application: the next ones are whole", async () => {
    const client: OpenClient = await clients[driver](proxy.through(database.url), { max: 1 });
    opened.push(client);
    const query = client.query ?? (client.db as PgClient).query.bind(client.db);
    const store = new PgStore(client.db, { cleanupInterval: 0 });
    const token = `${driver} whole`;
    await store.save(token, data, soon());
    for (let n = 0; n < 3; n++) {
      // It sends a row, and ends.
      await expect(query("SELECT pg_terminate_backend(pg_backend_pid())")).rejects.toThrow();
      expect(await store.find(token)).toBeDefined();
      expect(await store.touch(token, soon())).toBe(true);
    }
  });

  it("again and again under load: nothing but StoreUnavailableError, nothing acknowledged is lost, and it works afterwards", async () => {
    const store = await open(4);
    const running = { now: true };
    let done = 0;
    const acknowledged: string[] = [];
    const work = async (worker: number): Promise<void> => {
      for (let n = 0; running.now; n++) {
        const token = `${driver} ${worker} ${n}`;
        const settled = await Promise.allSettled([
          store.save(token, data, soon()),
          store.find(token),
          store.touch(token, soon()),
          store.create(`${token} new`, data, soon()),
        ]);
        if (settled[0].status === "fulfilled") acknowledged.push(token);
        if (settled[3].status === "fulfilled" && settled[3].value) acknowledged.push(`${token} new`);
        for (const one of settled) {
          if (one.status === "rejected") expect(one.reason).toBeInstanceOf(StoreUnavailableError);
          else done++;
        }
      }
    };
    const workers = Promise.all(Array.from({ length: 8 }, (_, worker) => work(worker)));
    const killer = database.pool({ max: 1 });
    for (let n = 0; n < 20; n++) {
      const before = done;
      if (n % 2 === 0) await killer.query(`SELECT pg_terminate_backend(pid) ${victims}`);
      else proxy.killAll();
      // It goes on after each time.
      await expect.poll(() => done, { interval: 5 }).toBeGreaterThan(before + 10);
    }
    running.now = false;
    await workers;
    const { rows } = await killer.query<{ token: string }>(
      "SELECT token FROM sessions WHERE expiry > current_timestamp",
    );
    const there = new Set(rows.map(({ token }) => token));
    expect(acknowledged.filter((token) => !there.has(token))).toEqual([]);
    // An operation may still meet a connection whose end the client hasn't heard of.
    let attempts = 0;
    const again = (): Promise<unknown> => everything(store, `${driver} load ${++attempts}`).catch(String);
    await expect.poll(again).toBe(undefined);
  });

  it("and can't be replaced for a while: StoreUnavailableError, and right as soon as they can", async () => {
    const patient = await open(2);
    await patient.find("a");
    const { db } = opened.at(-1) ?? expect.unreachable();
    const store = new PgStore(db, { cleanupInterval: 0, queryTimeout: 300 });
    proxy.refuse(true);
    proxy.killAll();
    // More than there are connections: each fails, and none is carried out when it has failed.
    const down = [0, 1, 2, 3].map((n) => store.create(`${driver} down ${n}`, data, soon()));
    const others = [store.find("a"), store.touch("a", soon()), store.delete("a")];
    const settled = await Promise.allSettled([...down, ...others]);
    for (const one of settled) {
      expect(one).toMatchObject({ status: "rejected", reason: { code: "STORE_UNAVAILABLE" } });
    }
    // When this one has failed, nothing of the others is left.
    await expect(store.find("a")).rejects.toThrow(StoreUnavailableError);
    proxy.refuse(false);
    await expect.poll(() => store.find("a").then(String, String)).toBe("undefined");
    await everything(patient, `${driver} back`);
    for (const n of [0, 1, 2, 3]) expect(await patient.find(`${driver} down ${n}`)).toBe(undefined);
  });
});
