import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import pg from "pg";
import postgres from "postgres";
import { PgStore, StoreUnavailableError } from "../../src/index.ts";
import { RetryBudget, retrying } from "../../src/lib/postgres/execution/executor.ts";
import {
  failureOf,
  type Failure,
  mayLieInRow,
  NotSentError,
  toStoreError,
} from "../../src/lib/postgres/drivers/errors.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { startPostgres } from "../support/postgres-server.ts";

const withCode = (code: string): Error => Object.assign(new Error("expected by the test"), { code });

describe("failureOf", () => {
  const table: Record<Failure, string[]> = {
    "rolled back": ["40001", "40P01"],
    "not begun": ["53300", "57P03", "08001", "08004", "ECONNREFUSED", "CONNECT_TIMEOUT", "ENOTFOUND", "EAI_AGAIN"],
    standby: ["25006"],
    lost: ["08000", "08003", "08006", "57P01", "57P02", "57P05", "ECONNRESET", "EPIPE", "CONNECTION_CLOSED", ""],
    unprepared: ["42P05", "26000"],
    unavailable: ["57014", "55P03", "25P03", "53100", "53200", "28P01", "28000", "3D000", "40000", "58030", "XX000"],
    schema: ["42P01", "42703", "42883", "23502", "3F000"],
    refused: ["22021", "22P02", "23505", "42501", "54000", "42601"],
  };
  for (const [failure, codes] of Object.entries(table)) {
    it(`calls ${codes.join(", ")} ${failure}`, () => {
      for (const code of codes) expect(failureOf(withCode(code)), code).toBe(failure);
    });
  }

  it("looks into an error of several addresses", () => {
    const refused = withCode("ECONNREFUSED");
    expect(failureOf(new AggregateError([refused, refused]))).toBe("not begun");
    expect(failureOf(new AggregateError([refused, withCode("ECONNRESET")]))).toBe("lost");
    expect(failureOf(new AggregateError([]))).toBe("lost");
    expect(failureOf(undefined)).toBe("lost");
  });

  it("calls what was not sent not begun, unless the server has said why", () => {
    for (const code of ["", "ECONNRESET", "57P01", "ECONNREFUSED"]) {
      expect(failureOf(new NotSentError(withCode(code))), code).toBe("not begun");
    }
    expect(failureOf(new NotSentError(withCode("28P01")))).toBe("unavailable");
    expect(failureOf(new NotSentError(undefined))).toBe("not begun");
    const cause = withCode("ECONNREFUSED");
    expect(toStoreError(new NotSentError(cause), "t", "")).toMatchObject({
      code: "STORE_UNAVAILABLE",
      cause: { code: "ECONNREFUSED" },
    });
  });
});

describe("mayLieInRow", () => {
  it("says so of values, constraints, sizes and triggers, and of nothing else", () => {
    for (const code of ["22P05", "22021", "23505", "23514", "38000", "44000", "54000", "P0001"]) {
      expect(mayLieInRow(withCode(code)), code).toBe(true);
    }
    for (const code of ["42501", "42601", "23502", "0A000", "25006", "40001", "53100", "57014", "ECONNRESET", ""]) {
      expect(mayLieInRow(withCode(code)), code).toBe(false);
    }
  });
});

describe("retrying", () => {
  /** Fails with these codes, one after the other, then succeeds; says how often it was called, and what it was told. */
  const failing = (...codes: string[]) => {
    const told: boolean[] = [];
    const attempt = async (inDoubt: boolean): Promise<string> => {
      told.push(inDoubt);
      const code = codes[told.length - 1];
      if (code !== undefined) throw withCode(code);
      return "done";
    };
    return { told, attempt };
  };

  it("tries three times, and tells whether an earlier attempt may have been carried out", async () => {
    const { told, attempt } = failing("40001", "08006");
    expect(await retrying(5000, true, attempt)).toBe("done");
    expect(told).toEqual([false, false, true]);
    const thrice = failing("57P01", "57P01", "57P01");
    await expect(retrying(5000, true, thrice.attempt)).rejects.toThrow("expected by the test");
    expect(thrice.told).toEqual([false, true, true]);
  });

  it("repeats what can't be repeated only as long as nothing of it can have happened", async () => {
    const refused = failing("ECONNREFUSED", "57P03");
    expect(await retrying(5000, false, refused.attempt)).toBe("done");
    const lost = failing("57P03", "08006");
    await expect(retrying(5000, false, lost.attempt)).rejects.toThrow("expected by the test");
    expect(lost.told).toEqual([false, false]);
  });

  it.each(["57014", "55P03", "22021", "23505", "42P01", "42501", "53100", "53200", "28P01", "3D000", "42P05"])(
    "does not try again after %s",
    async (code) => {
      const { told, attempt } = failing(code);
      await expect(retrying(5000, true, attempt)).rejects.toThrow("expected by the test");
      expect(told).toHaveLength(1);
    },
  );

  it("throws the failure that has aborted the application's transaction, not the refusal of what follows", async () => {
    const conflict = failing("40001", "25P02");
    await expect(retrying(5000, true, conflict.attempt)).rejects.toMatchObject({ code: "40001" });
    expect(conflict.told).toHaveLength(2);
    await expect(retrying(5000, true, failing("25P02").attempt)).rejects.toMatchObject({ code: "25P02" });
  });

  it("begins no attempt when the time is over, and none after our own time limit", async () => {
    const late = failing("57P03");
    await expect(retrying(10, true, late.attempt)).rejects.toThrow("expected by the test");
    expect(late.told).toHaveLength(1);
    const attempt = vi.fn(() => Promise.reject(new StoreUnavailableError("too late")));
    await expect(retrying(5000, true, attempt)).rejects.toThrow("too late");
    expect(attempt).toHaveBeenCalledTimes(1);
  });

  it("makes no storm of an outage: a tenth more, and some at once", async () => {
    const budget = new RetryBudget(5, 0.1);
    let attempts = 0;
    const attempt = (): Promise<never> => {
      attempts++;
      return Promise.reject(withCode("40001"));
    };
    for (let operation = 0; operation < 100; operation++) {
      await retrying(5000, true, attempt, budget).catch(() => {});
    }
    expect(attempts).toBeGreaterThan(110);
    expect(attempts).toBeLessThanOrEqual(100 + 5 + 100 * 0.1);
  });

  it("saves up no storm in a quiet time", () => {
    const budget = new RetryBudget(5, 0.1);
    for (let operation = 0; operation < 10_000; operation++) budget.earn();
    const spent = Array.from({ length: 20 }, () => budget.spend());
    expect(spent.filter(Boolean)).toHaveLength(5);
  });
});

describe("a pool whose connections lead to a standby", () => {
  it("gets others, as soon as there is a server to write to", async () => {
    const server = await startPostgres();
    const pool = new pg.Pool({ connectionString: server.url, max: 6 });
    pool.on("error", () => {});
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await store.migrate();
    const soon = (): Date => new Date(Date.now() + 60_000);
    await Promise.all(["a", "b", "c"].map((token) => store.save(token, new Uint8Array([1]), soon())));
    await Promise.all(Array.from({ length: 6 }, () => pool.query("SELECT pg_sleep(0.1)")));
    expect(pool.totalCount).toBe(6);
    // What a session of a standby says, without one: it is for new connections to say otherwise.
    await Promise.all(
      Array.from({ length: pool.totalCount }, async () => {
        const client = await pool.connect();
        await client.query("SET default_transaction_read_only = on");
        return client;
      }),
    ).then((clients) => clients.forEach((client) => client.release()));
    await store.save("d", new Uint8Array([1]), soon());
    expect(await store.create("e", new Uint8Array([1]), soon())).toBe(true);
    expect(await store.find("d")).toBeDefined();
    await pool.end();
    await server.stop();
  });

  it("keeps none of them while it waits for the next: nobody would hear when the server closes it", async () => {
    const database = await createDatabase();
    const pool = database.pool({ max: 3, options: "-c default_transaction_read_only=on" });
    pool.on("error", () => {});
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await Promise.all(Array.from({ length: 3 }, () => pool.query("SELECT pg_sleep(0.05)")));
    expect(pool.idleCount).toBe(3);
    // Others are quicker to take the two that are left, and keep them.
    const others: pg.PoolClient[] = [];
    const take = (): void => pool.connect((_, client) => client && others.push(client));
    pool.once("release", () => queueMicrotask(() => [take(), take()]));
    await expect(store.create("t", new Uint8Array([1]), new Date(Date.now() + 60_000))).rejects.toMatchObject({
      cause: { code: "25006" },
    });
    await expect.poll(() => [others.length, pool.totalCount, pool.waitingCount]).toEqual([2, 2, 0]);
    for (const other of others) other.release();
    await database.drop();
  });
});

describe("close", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  it("waits for what is under way, but no longer than its timeout, and takes nothing new meanwhile", async () => {
    const pool = database.pool({ max: 2 });
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await store.save("t", new Uint8Array([1]), new Date(Date.now() + 60_000));
    const holder = await pool.connect();
    await holder.query("BEGIN; SELECT FROM sessions WHERE token = 't' FOR UPDATE");
    const write = store.save("t", new Uint8Array([2]), new Date(Date.now() + 60_000));
    const settled = vi.fn();
    write.then(settled, settled);
    await store.close({ timeout: 50 });
    expect(settled).not.toHaveBeenCalled();
    await expect(store.find("t")).rejects.toThrow("the store is closed");
    await holder.query("COMMIT");
    holder.release();
    await write;
    expect(() => store.close({ timeout: "soon" as never })).toThrow(/^timeout: /);

    const second = new PgStore(pool, { cleanupInterval: 0 });
    const writes = Array.from({ length: 50 }, (_, n) =>
      second.save(`t${n}`, new Uint8Array([n]), new Date(Date.now() + 60_000)),
    );
    await second.close({ timeout: "10s" });
    const { rows } = await pool.query<{ n: number }>("SELECT count(*)::int AS n FROM sessions");
    expect(rows[0]?.n).toBe(51);
    await Promise.all(writes);
  });

  it("waits by each call's own timeout: a short one does not cut a longer one short, nor the other way round", async () => {
    const pool = database.pool({ max: 2 });
    const store = new PgStore(pool, { cleanupInterval: 0 });
    await store.save("held", new Uint8Array([1]), new Date(Date.now() + 60_000));
    const holder = await pool.connect();
    await holder.query("BEGIN; SELECT FROM sessions WHERE token = 'held' FOR UPDATE");
    const settled: string[] = [];
    const note = (what: string) => (): unknown => settled.push(what);
    const write = store.save("held", new Uint8Array([2]), new Date(Date.now() + 60_000)).then(note("write"));
    const first = store.close().then(note("first"));
    await store.close({ timeout: 10 }).then(note("short"));
    const last = store.close({ timeout: "1m" }).then(note("last"));
    expect(settled).toEqual(["short"]);
    await holder.query("COMMIT");
    holder.release();
    await Promise.all([first, write, last]);
    expect(settled.slice(0, 2)).toEqual(["short", "write"]);
  });
});

describe("a client of postgres.js that reads types when it connects", () => {
  it("gets a warning once, and none with fetch_types: false", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    vi.resetModules();
    const { PgStore: Fresh } = await import("../../src/index.ts");
    const url = "postgres://127.0.0.1:1/none";
    const stores = [new Fresh(postgres(url, { fetch_types: false }), { cleanupInterval: 0 })];
    expect(warn).not.toHaveBeenCalled();
    for (let times = 0; times < 2; times++) stores.push(new Fresh(postgres(url), { cleanupInterval: 0 }));
    expect(warn.mock.calls.map(([, options]) => (options as { code?: unknown }).code)).toEqual(["PGSTORE_FETCH_TYPES"]);
    warn.mockRestore();
    await Promise.all(stores.map((store) => store.close()));
  });
});

describe("a pool without a listener for errors, or a limit for connecting", () => {
  it("gets the one, and a warning once of each; one with a listener, be it added in the next line, gets neither", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    // A module of its own, which has warned of nothing yet.
    vi.resetModules();
    const { PgStore: Fresh } = await import("../../src/index.ts");
    const pools = Array.from({ length: 4 }, () => new pg.Pool({ connectionString: "postgres://127.0.0.1:1/none" }));
    pools[0]?.on("error", () => {});
    const stores = pools.map((pool) => new Fresh(pool, { cleanupInterval: 0 }));
    pools[1]?.on("error", () => {});
    await new Promise((resolve) => setImmediate(resolve));
    expect(pools.map((pool) => pool.listenerCount("error"))).toEqual([1, 1, 1, 1]);
    const codes = warn.mock.calls.map(([, options]) => (options as { code?: unknown } | undefined)?.code);
    expect(codes.map(String).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      "PGSTORE_POOL_ERRORS",
      "PGSTORE_POOL_TIMEOUT",
    ]);
    warn.mockClear();
    vi.resetModules();
    const { PgStore: Another } = await import("../../src/index.ts");
    const limited = new pg.Pool({ connectionString: "postgres://127.0.0.1:1/none", connectionTimeoutMillis: 1000 });
    limited.on("error", () => {});
    stores.push(new Another(limited, { cleanupInterval: 0 }));
    await new Promise((resolve) => setImmediate(resolve));
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
    await Promise.all(stores.map((store) => store.close()));
  });
});
