import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PgStore, StoreUnavailableError } from "../../src/index.ts";
import { type CutProxy, startCutProxy } from "../support/cut-proxy.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
let proxy: CutProxy;
let pool: pg.Pool;
let store: PgStore;
/** Straight to the database. */
let direct: pg.Pool;
beforeAll(async () => {
  database = await createDatabase();
  proxy = await startCutProxy(Number(new URL(database.url).port));
  direct = database.pool();
});
beforeEach(async () => {
  await direct.query("DELETE FROM sessions");
  pool = new pg.Pool({ connectionString: proxy.through(database.url), max: 3 });
  store = new PgStore(pool, { cleanupInterval: 0 });
  return async () => {
    await store.close();
    await pool.end();
  };
});
afterAll(async () => {
  await proxy.close();
  await database.drop();
});

const soon = (): Date => new Date(Date.now() + 60_000);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = async (token: string): Promise<string | undefined> => {
  const { rows } = await direct.query<{ data: Buffer }>("SELECT data FROM sessions WHERE token = $1", [token]);
  return rows[0]?.data.toString();
};

describe("a connection that is lost after the commit, before the answer", () => {
  beforeEach(() => store.save("t", bytes("one"), soon()));

  it("is not noticed by find", async () => {
    proxy.cutAfter("SELECT");
    expect(await store.find("t")).toBeDefined();
    expect(proxy.cuts).toBeGreaterThan(0);
  });

  it("is not noticed by touch, which is done twice", async () => {
    proxy.cutAfter("UPDATE");
    expect(await store.touch("t", soon())).toBe(true);
  });

  it("leaves delete with nothing to do the second time", async () => {
    proxy.cutAfter("DELETE");
    expect(await store.delete("t")).toBe(false);
    expect(await textOf("t")).toBe(undefined);
  });

  it("lets create recognize its own row", async () => {
    proxy.cutAfter("INSERT");
    expect(await store.create("new", bytes("mine"), soon())).toBe(true);
    expect(await textOf("new")).toBe("mine");
  });

  it("lets replace recognize its own bytes", async () => {
    proxy.cutAfter("UPDATE");
    expect(await store.replace("t", bytes("one"), bytes("two"), soon())).toBe(true);
    expect(await textOf("t")).toBe("two");
  });

  it("lets renew recognize its own row", async () => {
    proxy.cutAfter("INSERT");
    expect(await store.renew("t", "u", bytes("one"), bytes("two"), soon())).toBe(true);
    expect(await store.lookUp("t")).toBe("replaced");
    expect(await textOf("u")).toBe("two");
  });

  it("does not let save overwrite what others may have written since", async () => {
    proxy.cutAfter("INSERT");
    await expect(store.save("t", bytes("two"), soon())).rejects.toThrow(StoreUnavailableError);
    expect(await textOf("t")).toBe("two");
  });

  it("twice is made up for, thrice is StoreUnavailableError", async () => {
    proxy.cutAfter("SELECT", 2);
    expect(await textOf("t")).toBe("one");
    proxy.cutAfter("SELECT", 3);
    await expect(store.find("t")).rejects.toThrow(StoreUnavailableError);
    proxy.cutAfter("UPDATE", 3);
    await expect(store.replace("t", bytes("one"), bytes("two"), soon())).rejects.toThrow(StoreUnavailableError);
  });

  it("in the middle of a batch is sorted out row by row", async () => {
    await Promise.all(["a", "b", "c"].map((token) => store.save(token, bytes("one"), soon())));
    await store.save("c", bytes("another"), soon());
    const first = store.replace("t", bytes("one"), bytes("two"), soon());
    const batch = ["a", "b", "c", "none"].map((token) => store.replace(token, bytes("one"), bytes("two"), soon()));
    await first;
    proxy.cutAfter("UPDATE");
    const settled = await Promise.allSettled(batch);
    expect(settled.slice(0, 2)).toEqual([
      { status: "fulfilled", value: true },
      { status: "fulfilled", value: true },
    ]);
    // Whether "c" was changed by others before or after our attempt can't be told: no answer is better than a wrong one.
    expect(settled[2]).toMatchObject({ status: "rejected", reason: { code: "STORE_UNAVAILABLE" } });
    expect(settled[3]).toEqual({ status: "fulfilled", value: false });
  });
});

/** A store whose first answer to a write is lost, after the commit, and others are faster than its second attempt. */
function racing(others: string): PgStore {
  let calls = 0;
  return new PgStore(
    {
      async query(text, values) {
        const answer = await direct.query(text, values);
        if (text.startsWith("SELECT") || ++calls > 1) return answer;
        await direct.query(others);
        throw new Error("Connection terminated unexpectedly");
      },
    },
    { cleanupInterval: 0 },
  );
}

describe("a replace whose first attempt was carried out, and overwritten by others before the second", () => {
  it("is not reported as a conflict, as its step would then be made twice", async () => {
    await store.save("t", bytes("one"), soon());
    const replacing = racing("UPDATE sessions SET data = 'theirs' WHERE token = 't'");
    await expect(replacing.replace("t", bytes("one"), bytes("two"), soon())).rejects.toThrow(
      "the connection was lost during a write, and its outcome is unknown",
    );
    expect(await textOf("t")).toBe("theirs");
  });
});

describe("a replace whose answer was lost, and whose session ended before it was looked for", () => {
  it("is dropped", async () => {
    await store.save("t", bytes("one"), soon());
    const replacing = racing("UPDATE sessions SET data = '', expiry = current_timestamp WHERE token = 't'");
    expect(await replacing.replace("t", bytes("one"), bytes("two"), soon())).toBe(false);
  });
});

describe("a create whose first attempt was carried out, and whose row others have removed before the second", () => {
  it("does not bring it back", async () => {
    await expect(racing("DELETE FROM sessions").create("t", bytes("one"), soon())).rejects.toThrow(
      StoreUnavailableError,
    );
    expect(await textOf("t")).toBe(undefined);
  });
});

describe("a statement that is rolled back because of its neighbours", () => {
  it("is made again after a deadlock", async () => {
    await Promise.all(["a", "b"].map((token) => store.save(token, bytes("one"), soon())));
    const other = await database.admin({ max: 1 }).connect();
    // The other side never finds the deadlock: ours is the statement that PostgreSQL ends.
    await other.query("SET deadlock_timeout = '1h'");
    await other.query("BEGIN");
    await other.query("SELECT 1 FROM sessions WHERE token = 'b' FOR UPDATE");
    const held = store.touch("held up", soon());
    const touches = [store.touch("a", soon()), store.touch("b", soon())];
    await held;
    const waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
    const blocked = () => direct.query(waiting, [database.name]);
    await expect.poll(async () => (await blocked()).rowCount).toBe(1);
    await other.query("UPDATE sessions SET data = 'theirs' WHERE token = 'a'");
    await other.query("COMMIT");
    await other.query("RESET deadlock_timeout");
    other.release();
    expect(await Promise.all(touches)).toEqual([true, true]);
    const deadlocks = "SELECT deadlocks::int AS count FROM pg_stat_database WHERE datname = $1";
    const count = async (): Promise<number> => (await direct.query(deadlocks, [database.name])).rows[0].count;
    await expect.poll(count).toBe(1);
  });

  it("is made again after a serialization failure", async () => {
    const strict = new PgStore(database.pool({ options: "-c default_transaction_isolation=serializable" }), {
      cleanupInterval: 0,
    });
    await strict.save("t", bytes("one"), soon());
    const other = await direct.connect();
    await other.query("BEGIN");
    await other.query("UPDATE sessions SET expiry = expiry + interval '1 minute' WHERE token = 't'");
    const replaced = strict.replace("t", bytes("one"), bytes("two"), soon());
    const waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
    await expect.poll(async () => (await direct.query(waiting, [database.name])).rowCount).toBe(1);
    await other.query("COMMIT");
    other.release();
    expect(await replaced).toBe(true);
    await strict.close();
  });
});

describe("a statement in a transaction of the application", () => {
  it("fails with the reason that has aborted the transaction", async () => {
    const client = new pg.Client(database.url);
    await client.connect();
    const inside = new PgStore(client, { cleanupInterval: 0 });
    await store.save("t", bytes("one"), soon());
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    expect(await inside.find("t")).toBeDefined();
    await store.save("t", bytes("two"), soon());
    await expect(inside.replace("t", bytes("one"), bytes("three"), soon())).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      cause: { code: "40001" },
    });
    await client.query("ROLLBACK; BEGIN READ ONLY");
    await expect(inside.save("t", bytes("three"), soon())).rejects.toMatchObject({ cause: { code: "25006" } });
    await client.query("ROLLBACK");
    await client.end();
  });
});

describe("close", () => {
  it("waits for a statement that is about to be made again", async () => {
    const events: string[] = [];
    const client = {
      query: async (text: string, values?: unknown[]) => {
        if (events.push("asked") === 1) throw Object.assign(new Error("serialization failure"), { code: "40001" });
        const answer = await direct.query(text, values);
        events.push("answered");
        return answer;
      },
    };
    const closing = new PgStore(client, { cleanupInterval: 0 });
    const counted = closing.count();
    await new Promise(setImmediate);
    await closing.close();
    expect(events).toEqual(["asked", "asked", "answered"]);
    expect(await counted).toBe(0);
  });
});

describe("prepared statements", () => {
  const prepared = async (client: pg.Client): Promise<string[]> => {
    const { rows } = await client.query<{ name: string }>("SELECT name FROM pg_prepared_statements ORDER BY name");
    return rows.map(({ name }) => name);
  };
  async function connected(options: { prepare?: boolean } = {}) {
    const client = new pg.Client(database.url);
    await client.connect();
    return { client, store: new PgStore(client, { cleanupInterval: 0, ...options }) };
  }
  const everything = async (one: PgStore): Promise<void> => {
    await one.create("p", bytes("one"), soon());
    await one.find("p");
    await one.replace("p", bytes("one"), bytes("two"), soon());
    await one.touch("p", soon());
    await one.renew("p", "q", bytes("two"), bytes("three"), soon());
    await one.save("p", bytes("one"), soon());
    await one.delete("q");
  };

  it("are kept on the server, one for each kind of operation", async () => {
    const { client, store: one } = await connected();
    await everything(one);
    await everything(one);
    const names = await prepared(client);
    expect(names).toHaveLength(7); // find, create, replace, touch, renew, save, delete
    for (const name of names) expect(name).toMatch(/^pgstore_[\w-]{16}$/);
    await client.end();
  });

  it("are not used with prepare: false", async () => {
    const { client, store: one } = await connected({ prepare: false });
    await everything(one);
    expect(await prepared(client)).toEqual([]);
    await client.end();
  });

  it("are given up for good when the server does not know them, as behind a pooler (26000)", async () => {
    const { client, store: one } = await connected();
    await everything(one);
    await client.query("DEALLOCATE ALL");
    await everything(one);
    await everything(one);
    expect(await one.find("p")).toBeDefined();
    expect(await prepared(client)).toEqual([]);
    await client.end();
  });

  it("are given up for good when the server knows another of that name (42P05)", async () => {
    const { client, store: one } = await connected();
    await one.find("p");
    const [name] = await prepared(client);
    await client.end();
    const second = await connected();
    await second.client.query(`PREPARE "${name}" AS SELECT 1`);
    expect(await second.store.find("none")).toBe(undefined);
    await everything(second.store);
    expect(await prepared(second.client)).toEqual([name]);
    await second.client.end();
  });

  it("survive another type of a column, without being given up (0A000)", async () => {
    const { client, store: one } = await connected();
    const admin = database.admin({ max: 1 });
    await admin.query("ALTER TABLE sessions ALTER COLUMN token TYPE varchar");
    await everything(one);
    await admin.query("ALTER TABLE sessions ALTER COLUMN token TYPE text");
    await everything(one);
    expect(await prepared(client)).toHaveLength(7);
    await client.end();
  });

  it("carry out a write once, though the first attempt fails", async () => {
    const { client, store: one } = await connected();
    await one.create("warm", bytes("one"), soon());
    await client.query("DEALLOCATE ALL");
    expect(await one.create("once", bytes("one"), soon())).toBe(true);
    await client.end();
  });
});
