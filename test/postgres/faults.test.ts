import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PgStore, SessionManager, StoreError, StoreUnavailableError } from "../../src/index.ts";
import { nodeHandler } from "../../src/node.ts";
import { startCutProxy } from "../support/cut-proxy.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { cookieOf, serving } from "../support/serve.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** A pool, without a listener for errors, whose connections go through a proxy that can fail. */
async function throughProxy(options: pg.PoolConfig = {}) {
  const url = new URL(database.url);
  const proxy = await startCutProxy(Number(url.port));
  url.port = String(proxy.port);
  url.hostname = "127.0.0.1";
  const pool = new pg.Pool({ connectionString: url.href, max: 4, ...options });
  return { proxy, pool, close: async () => [await pool.end(), await proxy.close()] };
}

const soon = (): Date => new Date(Date.now() + 60_000);
const data = new Uint8Array([1, 2, 3]);

describe("a database that can't be reached", () => {
  it("at the start is StoreUnavailableError, and used as soon as it is there", async () => {
    const { proxy, pool, close } = await throughProxy();
    proxy.refuse(true);
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await expect(store.find("t")).rejects.toThrow(StoreUnavailableError);
    await expect(store.migrate()).rejects.toThrow(StoreUnavailableError);
    proxy.refuse(false);
    await store.save("late", data, soon());
    expect(await store.find("late")).toBeDefined();
    await close();
  });

  it("at a port where nobody listens is so too, for each operation", async () => {
    const { proxy, pool } = await throughProxy();
    await proxy.close();
    const store = new PgStore(pool, { cleanupInterval: 0 });
    const calls = [
      () => store.find("t"),
      () => store.save("t", data, soon()),
      () => store.delete("t"),
      () => store.create("t", data, soon()),
      () => store.replace("t", data, data, soon()),
      () => store.renew("t", "u", data, data, soon()),
      () => store.touch("t", soon()),
      () => store.deleteExpired(),
      () => store.all().next(),
      async () => store.now(),
      () => store.check(),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await pool.end();
  });

  it("and does not answer is given up after queryTimeout, its connection with it", async () => {
    const { proxy, pool, close } = await throughProxy({ max: 1 });
    const store = new PgStore(pool, { cleanupInterval: 0, queryTimeout: 200 });
    await new PgStore(pool, { cleanupInterval: 0 }).find("t");
    proxy.blackhole(true);
    await expect(store.find("t")).rejects.toThrow(/did not answer within 200 ms|can't be reached/);
    await expect(store.find("t")).rejects.toThrow(StoreUnavailableError);
    proxy.blackhole(false);
    proxy.killAll();
    await expect.poll(() => store.find("t").then(() => "found", String)).toBe("found");
    await close();
  });

  it("while every connection of the pool is taken is given up as well", async () => {
    const pool = database.pool({ max: 1 });
    const store = new PgStore(pool, { cleanupInterval: 0, queryTimeout: 100 });
    const client = await pool.connect();
    await expect(store.find("t")).rejects.toThrow("did not answer within 100 ms");
    await expect(store.save("too late", data, soon())).rejects.toThrow("did not answer within 100 ms");
    client.release();
    const patient = new PgStore(pool, { cleanupInterval: 0 });
    expect(await patient.find("t")).toBe(undefined);
    // What has failed is not carried out when the connection comes.
    expect(await patient.find("too late")).toBe(undefined);
  });
});

describe("a connection that is killed", () => {
  const kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";

  it("while idle ends neither the process nor the store, though the pool has no listener", async () => {
    const { pool, close } = await throughProxy({ application_name: "idle victim" });
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await Promise.all([store.find("a"), store.delete("b"), store.touch("c", soon())]);
    expect(pool.idleCount).toBe(3);
    await database.pool().query(kill, ["idle victim"]);
    await expect.poll(() => pool.totalCount).toBe(0);
    expect(await store.find("t")).toBe(undefined);
    await close();
  });

  it("leaves a listener of the application's own alone", async () => {
    const pool = database.pool();
    const listener = (): void => {};
    pool.on("error", listener);
    const store = new PgStore(pool, { cleanupInterval: 0 });
    const second = new PgStore(pool, { cleanupInterval: 0 });
    expect(pool.listeners("error")).toEqual([listener]);
    await Promise.all([store.close(), second.close()]);
  });

  it("in the middle of a statement is StoreUnavailableError, and the next one works", async () => {
    const { pool, close } = await throughProxy({ application_name: "busy victim", max: 1 });
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await store.save("busy", data, soon());
    // A lock that keeps the statement waiting until its connection is gone.
    const blocker = await database.pool().connect();
    await blocker.query("BEGIN");
    await blocker.query("SELECT 1 FROM sessions WHERE token = 'busy' FOR UPDATE");
    const failing = expect(store.save("busy", data, soon())).rejects.toThrow(StoreUnavailableError);
    const waiting =
      "SELECT 1 FROM pg_stat_activity WHERE application_name = 'busy victim' AND wait_event_type = 'Lock'";
    const watcher = database.pool();
    await expect.poll(async () => (await watcher.query(waiting)).rowCount).toBe(1);
    await watcher.query(kill, ["busy victim"]);
    await failing;
    await blocker.query("ROLLBACK");
    blocker.release();
    expect(await store.touch("busy", soon())).toBe(true);
    await close();
  });
});

describe("a request while the database is down", () => {
  it("is a 500 without a cookie, never an anonymous user, and right again when it is back", async () => {
    const { proxy, pool, close } = await throughProxy();
    const errors: unknown[] = [];
    const manager = new SessionManager(new PgStore(pool, { cleanupInterval: 0 }), {
      onError: (error) => errors.push(error),
    });
    const listener = nodeHandler(manager, async (request, response) => {
      const session = manager.sessionOf(request);
      if (request.url === "/login") await session.login("ada");
      if (request.url === "/dies") proxy.refuse(true);
      if (request.url === "/dies") proxy.killAll();
      if (request.url !== "/") session.set("page", request.url);
      response.end(`user ${session.userId}`);
    });
    await serving(listener, async ({ get }) => {
      const cookie = cookieOf(await get("/login"));
      const dying = await get("/dies", cookie);
      expect([dying.status, dying.headers.getSetCookie()]).toEqual([500, []]);
      const down = await get("/", cookie);
      const body = await down.text();
      expect([down.status, body]).toEqual([500, "Internal Server Error\n"]);
      expect(errors).toHaveLength(2);
      for (const error of errors) expect(error).toBeInstanceOf(StoreUnavailableError);
      proxy.refuse(false);
      const back = await get("/", cookie);
      expect([back.status, await back.text()]).toEqual([200, "user ada"]);
    });
    await close();
  });
});

describe("queryTimeout", () => {
  it("is one that a timer can take", () => {
    for (const queryTimeout of [0, 2 ** 31, "30d"] as const) {
      expect(() => new PgStore(database.pool(), { queryTimeout })).toThrow(/^queryTimeout: /);
    }
  });
});

describe("what else the database says", () => {
  const failing = (code: string) =>
    new PgStore(
      {
        query: async () => {
          throw Object.assign(new Error("expected by the test"), { code });
        },
      },
      { cleanupInterval: 0 },
    );
  const codes: Record<string, string> = {
    "57014": "STORE_UNAVAILABLE",
    "55P03": "STORE_UNAVAILABLE",
    "40001": "STORE_UNAVAILABLE",
    "53300": "STORE_UNAVAILABLE",
    "25006": "STORE_UNAVAILABLE",
    "3D000": "STORE_UNAVAILABLE",
    EPIPE: "STORE_UNAVAILABLE",
    ECONNREFUSED: "STORE_UNAVAILABLE",
    "42P01": "SCHEMA",
    "42883": "SCHEMA",
    "42501": "STORE_FAILED",
    "23514": "STORE_FAILED",
    "22001": "STORE_FAILED",
  };
  for (const [sqlstate, code] of Object.entries(codes)) {
    it(`${sqlstate} is ${code}`, async () => {
      await expect(failing(sqlstate).find("t")).rejects.toMatchObject({ code, cause: { code: sqlstate } });
    });
  }

  it("goes to onError when the cleanup fails", async () => {
    const errors: unknown[] = [];
    let failed: () => void = () => {};
    const first = new Promise<void>((resolve) => (failed = resolve));
    const db = {
      query: async () => {
        throw Object.assign(new Error("expected by the test"), { code: "42501" });
      },
    };
    const onError = (error: unknown): void => {
      errors.push(error);
      failed();
    };
    const store = new PgStore(db, { cleanupInterval: 1, onError });
    await first;
    store.stopCleanup();
    expect(errors[0]).toBeInstanceOf(StoreError);
  });
});

describe("PgStore.close", () => {
  it("waits for what is under way, refuses what comes after, and leaves the pool open", async () => {
    const pool = database.pool();
    await using store = new PgStore(pool);
    const saved = store.save("closing", data, soon());
    await store.close();
    await saved;
    await expect(store.find("closing")).rejects.toThrow("the store is closed");
    await store.close();
    expect((await pool.query("SELECT 1 FROM sessions WHERE token = 'closing'")).rowCount).toBe(1);
  });
});
