import net from "node:net";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type PgClient, PgStore, SessionManager, StoreUnavailableError } from "../../src/index.ts";
import { pause } from "../../src/lib/core/time.ts";
import { clients, openPostgresJs } from "../support/clients.ts";
import { type CutProxy, startCutProxy } from "../support/cut-proxy.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { openPglite } from "../support/pglite.ts";
import type { OpenClient } from "../contract/postgres-host.ts";

let database: TestDatabase;
let proxy: CutProxy;
beforeAll(async () => {
  database = await createDatabase();
  proxy = await startCutProxy(Number(new URL(database.url).port));
});
beforeEach(() => {
  proxy.keep(false);
  proxy.letGo();
  return database.pool({ max: 1 }).query("DELETE FROM sessions");
});
afterAll(async () => {
  await proxy.close();
  await database.drop();
});

const soon = (): Date => new Date(Date.now() + 60_000);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = async (store: PgStore, token: string): Promise<string> =>
  new TextDecoder().decode((await store.find(token))?.data);

/** Clients with one connection, so that what is sent at last was sent after all that waited. */
const single: Record<string, () => Promise<OpenClient>> = {
  ...Object.fromEntries(
    Object.entries(clients).map(([name, open]) => [name, () => open(proxy.through(database.url), { max: 1 })]),
  ),
  "a pg.Client": async () => {
    const client = new pg.Client({ connectionString: proxy.through(database.url) });
    client.on("error", () => {});
    // Statements may come before it is connected.
    void client.connect();
    return { db: client, close: () => client.end() };
  },
};

describe.each(Object.keys(single))("a connection of %s that is made late", (name) => {
  it("carries out nothing that has failed", async () => {
    proxy.keep(true);
    const client = await (single[name] ?? expect.unreachable)();
    onTestFinished(() => client.close());
    const direct = new PgStore(database.pool({ max: 1 }), { cleanupInterval: 0 });
    await direct.save("overwritten", bytes("first"), soon());
    await direct.create("renewed", bytes("first"), soon());
    const store = new PgStore(client.db, { cleanupInterval: 0, queryTimeout: 150 });
    const users = store.users ?? expect.unreachable();
    const failing = [
      store.save("overwritten", bytes("older"), soon()),
      store.create("created", bytes("older"), soon()),
      store.renew("renewed", "renewed to", bytes("first"), bytes("older"), soon()),
      store.create("logged in", bytes("older"), soon(), { owner: { userId: "ada" } }),
      store.delete("overwritten"),
      users.end("ada", []),
    ];
    for (const one of await Promise.allSettled(failing)) {
      expect(one).toMatchObject({ status: "rejected", reason: { code: "STORE_UNAVAILABLE" } });
    }
    await direct.save("overwritten", bytes("newer"), soon());
    proxy.keep(false);
    proxy.letGo();
    const patient = new PgStore(client.db, { cleanupInterval: 0, queryTimeout: "20s" });
    expect(await textOf(patient, "overwritten")).toBe("newer");
    expect(await textOf(patient, "renewed")).toBe("first");
    for (const token of ["created", "renewed to", "logged in"]) expect(await patient.find(token)).toBe(undefined);
  });
});

/** Handed to the client: nothing comes back until it is let go. */
function stuck(client: PgClient) {
  const held: (() => void)[] = [];
  const sent: string[] = [];
  let isStuck = true;
  const answers: Promise<unknown>[] = [];
  const later = async (text: string, values?: unknown[]): Promise<{ rows: unknown[] }> => {
    if (isStuck) await new Promise<void>((resolve) => held.push(resolve));
    return client.query(text, values);
  };
  const query: PgClient["query"] = (text, values) => {
    sent.push(text);
    const answer = later(text, values);
    answers.push(answer);
    return answer;
  };
  const letGo = async (): Promise<void> => {
    isStuck = false;
    for (const go of held) go();
    await Promise.all(answers);
  };
  return { query, sent, letGo };
}

describe("a client that keeps what it is given", () => {
  it("gets no more when ten statements have been given up, and again when one has come back", async () => {
    const client = stuck(database.pool());
    const store = new PgStore(client, { cleanupInterval: 0, queryTimeout: 20 });
    for (let n = 0; n < 15; n++) {
      await expect(store.create(`t${n}`, bytes("data"), soon())).rejects.toThrow(StoreUnavailableError);
    }
    // One may be on its way when another is given up.
    expect(client.sent.length).toBeGreaterThanOrEqual(10);
    expect(client.sent.length).toBeLessThanOrEqual(11);
    const patient = new PgStore(client, { cleanupInterval: 0 });
    const waiting = patient.find("t14");
    await client.letGo();
    expect(await waiting).toBe(undefined);
  });
});

describe("a pool whose connections hang while they are made", () => {
  const hanging = (options: pg.PoolConfig) => {
    const pool = new pg.Pool({ connectionString: proxy.through(database.url), max: 2, ...options });
    pool.on("error", () => {});
    proxy.keep(true);
    return pool;
  };
  const fail = async (store: PgStore, rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      const writes = Array.from({ length: 20 }, (_, n) => store.create(`${round} ${n}`, bytes("data"), soon()));
      const all = [...writes, store.find("a"), store.touch("b", soon()), store.delete("c")];
      for (const one of await Promise.allSettled(all)) expect(one.status).toBe("rejected");
    }
  };

  it("is used again as soon as it can be, by all of its stores, and keeps no statement in its queue", async () => {
    const pool = hanging({ connectionTimeoutMillis: 200 });
    const stores = [100, 100].map((queryTimeout) => new PgStore(pool, { cleanupInterval: 0, queryTimeout }));
    await Promise.all(stores.map((store) => fail(store, 3)));
    expect(pool.waitingCount).toBeLessThanOrEqual(2);
    proxy.keep(false);
    for (const store of stores) await expect.poll(() => store.find("a").then(String, String)).toBe("undefined");
    expect((await pool.query("SELECT 1 FROM sessions")).rowCount).toBe(0);
    await pool.end();
  });

  it("waits with what comes in time", async () => {
    const pool = hanging({ connectionTimeoutMillis: 100 });
    const connect = vi.spyOn(pool, "connect");
    const store = new PgStore(pool, { cleanupInterval: 0, queryTimeout: "20s" });
    const saved = store.save("t", bytes("data"), soon());
    await expect.poll(() => connect.mock.calls.length).toBeGreaterThan(1);
    proxy.keep(false);
    await saved;
    expect(await textOf(store, "t")).toBe("data");
    await pool.end();
  });
});

describe("a pool that is used up for longer than connectionTimeoutMillis", () => {
  it("fails nothing that has time left: it was not sent, so nothing is unknown", async () => {
    const pool = database.pool({ max: 1, connectionTimeoutMillis: 50 });
    const store = new PgStore(pool, { cleanupInterval: 0, queryTimeout: "20s" });
    const manager = new SessionManager(store);
    const begun = await manager.load();
    begun.set("k", 1);
    await manager.commit(begun);
    const session = await manager.load(begun.token);
    const taken = await pool.connect();
    const connect = vi.spyOn(pool, "connect");
    const all = [
      session.login("ada"),
      store.save("saved", bytes("data"), soon()),
      store.create("created", bytes("data"), soon()),
      store.find("created"),
    ];
    const settled = vi.fn();
    for (const one of all) void one.then(settled, settled);
    await expect.poll(() => connect.mock.calls.length).toBeGreaterThan(5);
    expect(settled).not.toHaveBeenCalled();
    taken.release();
    await Promise.all(all);
    expect(await textOf(store, "saved")).toBe("data");
    expect(await store.users?.list("ada", 10)).toHaveLength(1);
  });

  it("fails with the time of the operation, and at once when the pool has ended", async () => {
    const pool = database.pool({ max: 1 });
    const taken = await pool.connect();
    pool.options.connectionTimeoutMillis = 20;
    const store = new PgStore(pool, { cleanupInterval: 0, queryTimeout: 100 });
    await expect(store.save("t", bytes("data"), soon())).rejects.toThrow("did not answer within 100 ms");
    taken.release();
    await pool.end();
    await expect(store.find("t")).rejects.toThrow(StoreUnavailableError);
  });
});

/** A client with a statement of the application's that waits until `free` is called. */
async function busyClient() {
  const client = new pg.Client(database.url);
  await client.connect();
  onTestFinished(() => client.end());
  const holder = await database.pool({ max: 1 }).connect();
  await holder.query("SELECT pg_advisory_lock(19)");
  const busy = client.query("SELECT pg_advisory_lock(19), pg_advisory_unlock(19)");
  const free = async (): Promise<void> => {
    await holder.query("SELECT pg_advisory_unlock(19)");
    holder.release();
    await busy;
  };
  return { client, free };
}

describe("a pool with a shorter query_timeout of the application's", () => {
  it("doesn't fail a statement that waits for a lock, as it may still be carried out", async () => {
    const store = new PgStore(database.pool({ query_timeout: 50 }), { cleanupInterval: 0 });
    await store.save("t", bytes("one"), soon());
    const holder = await database.pool({ max: 1 }).connect();
    onTestFinished(() => holder.release());
    await holder.query("BEGIN");
    await holder.query("SELECT FROM sessions WHERE token = 't' FOR UPDATE");
    const saved = store.save("t", bytes("two"), soon());
    await holder.query("SELECT pg_sleep(0.2)");
    await holder.query("COMMIT");
    await saved;
    expect(await textOf(store, "t")).toBe("two");
  });
});

describe("a connection of a pool that does not answer in time", () => {
  it("is closed, so that nobody waits behind its statement", async () => {
    const pool = database.pool({ max: 1 });
    await new PgStore(pool, { cleanupInterval: 0 }).save("t", bytes("one"), soon());
    const holder = await database.pool({ max: 1 }).connect();
    onTestFinished(() => holder.release());
    await holder.query("BEGIN; SELECT FROM sessions WHERE token = 't' FOR UPDATE");
    const store = new PgStore(pool, { cleanupInterval: 0, queryTimeout: 100 });
    await expect(store.save("t", bytes("two"), soon())).rejects.toThrow("did not answer within 100 ms");
    await expect.poll(() => pool.totalCount).toBe(0);
    await holder.query("ROLLBACK");
  });
});

describe("a pg.Client that the application keeps busy", () => {
  it("carries out nothing that has failed, also of what had waited in the store before", async () => {
    const { client, free } = await busyClient();
    const hasty = new PgStore(client, { cleanupInterval: 0, queryTimeout: 200 });
    const store = new PgStore(client, { cleanupInterval: 0, queryTimeout: 500 });
    // The client gives up its first statement, and has the second one for longer than its caller waits.
    const failing = [hasty.find("late"), store.save("late", bytes("data"), soon())];
    for (const one of await Promise.allSettled(failing)) expect(one.status).toBe("rejected");
    await free();
    const patient = new PgStore(client, { cleanupInterval: 0 });
    expect(await patient.find("late")).toBe(undefined);
  });
});

describe("rows of different ages in a statement that waits in a pg.Client", () => {
  it("are carried out as far as their own callers wait still", async () => {
    const { client, free } = await busyClient();
    const store = new PgStore(client, { cleanupInterval: 0, queryTimeout: 400, batch: { statements: 1 } });
    const save = (token: string): Promise<unknown> => store.save(token, bytes("data"), soon()).catch(() => {});
    // The first one takes the only statement of its kind with it until its time is over.
    const first = save("first");
    await pause(100);
    const older = save("older");
    await pause(150);
    const younger = save("younger");
    await Promise.all([first, older]);
    await free();
    await younger;
    const patient = new PgStore(client, { cleanupInterval: 0 });
    for (const token of ["first", "older"]) expect(await patient.find(token)).toBe(undefined);
  });
});

describe("a statement of postgres.js that was sent", () => {
  it("is not cancelled when its time is over: nobody could catch the errors of the connection that this takes", async () => {
    const { port, hostname } = new URL(database.url);
    const sockets: net.Socket[] = [];
    const socket = (): Promise<net.Socket> =>
      new Promise((resolve) => {
        const made = net.connect(Number(port), hostname, () => resolve(made));
        sockets.push(made);
      });
    const { db, close } = openPostgresJs(database.url, { max: 1, socket } as never);
    onTestFinished(() => close());
    await new PgStore(db, { cleanupInterval: 0 }).save("locked", bytes("data"), soon());
    const written = (): number => sockets.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0);
    const writtenBefore = written();
    const holder = await database.pool({ max: 1 }).connect();
    onTestFinished(async () => {
      await holder.query("ROLLBACK");
      holder.release();
    });
    await holder.query("BEGIN; SELECT FROM sessions WHERE token = 'locked' FOR UPDATE");
    // On a busy machine the time may be over before anything is sent. The next attempt gets twice as long.
    for (let queryTimeout = 50; written() === writtenBefore; queryTimeout *= 2) {
      const store = new PgStore(db, { cleanupInterval: 0, queryTimeout });
      await expect(store.save("locked", bytes("later"), soon())).rejects.toThrow(StoreUnavailableError);
    }
    const blocked = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    const watcher = database.pool({ max: 1 });
    await expect.poll(async () => (await watcher.query(blocked)).rowCount).toBe(1);
    expect(sockets).toHaveLength(1);
  });
});

describe("a PGlite in a transaction of the application's", () => {
  it("carries out nothing that has failed meanwhile", async () => {
    const db = await openPglite();
    onTestFinished(() => db.close());
    const patient = new PgStore(db, { cleanupInterval: 0 });
    await patient.migrate();
    const store = new PgStore(db, { cleanupInterval: 0, queryTimeout: 100 });
    await db.transaction(async () => {
      await expect(store.save("late", bytes("data"), soon())).rejects.toThrow(StoreUnavailableError);
      await expect(store.create("late", bytes("data"), soon())).rejects.toThrow(StoreUnavailableError);
    });
    expect(await patient.find("late")).toBe(undefined);
  });
});

describe("a wrapper around a client that throws", () => {
  it("fails the operation, and leaves the process and the pool as they were", async () => {
    const pool = database.pool({ max: 1 });
    let isBroken = true;
    pool.on("connect", (client) => {
      const { query } = client;
      client.query = ((...args: never[]) => {
        if (isBroken) {
          // Its answer comes nevertheless, to whoever has given the connection back by then.
          setImmediate(args.at(-1) as unknown as (error: unknown) => void, new Error("expected by the test"));
          throw new TypeError("expected by the test");
        }
        return Reflect.apply(query, client, args) as unknown;
      }) as never;
    });
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await expect(store.save("wrapped", bytes("never"), soon())).rejects.toThrow();
    isBroken = false;
    await new Promise((resolve) => setImmediate(resolve));
    expect(await store.find("wrapped")).toBe(undefined);
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
  });
});
