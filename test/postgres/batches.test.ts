import type { Pool } from "pg";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import {
  type BatchOptions,
  type PgClient,
  PgStore,
  SessionManager,
  StoreError,
  StoreOverloadedError,
  StoreUnavailableError,
} from "../../src/index.ts";
import { Dispatcher } from "../../src/lib/postgres/execution/dispatch.ts";
import type { Driver, Row } from "../../src/lib/postgres/drivers/driver.ts";
import { Executor } from "../../src/lib/postgres/execution/executor.ts";
import { scsLayout } from "../../src/lib/postgres/sql/layout.ts";
import { operationsFor } from "../../src/lib/postgres/sql/operations.ts";
import { tableName } from "../../src/lib/postgres/sql/table-name.ts";
import { Gate } from "../support/barrier.ts";
import { type Codec, scsJson } from "../../src/codecs.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { gatedClient } from "../support/gated-client.ts";

let database: TestDatabase;
/** For all tests of this file, so that they don't use up the server's connections. */
let pool: Pool;
beforeAll(async () => {
  database = await createDatabase();
  pool = database.pool();
  await database.admin({ max: 1 }).query("ALTER TABLE sessions ADD CHECK (octet_length(data) < 1000)");
});
beforeEach(() => pool.query("DELETE FROM sessions"));
afterAll(() => database.drop());

const soon = (): Date => new Date(Date.now() + 60_000);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const tokens = (count: number, prefix = "t"): string[] =>
  Array.from({ length: count }, (_, n) => `${prefix}${String(n).padStart(4, "0")}`);
/** The database refuses it. */
const tooLong = new Uint8Array(1000);

/** A store whose statements can be held. */
async function gated(batch?: BatchOptions, options: { queryTimeout?: number } = {}) {
  const client = gatedClient(pool);
  const store = new PgStore(client, { cleanupInterval: 0, ...options, ...(batch && { batch }) });
  // Its first write would ask what columns there are.
  await store.now();
  client.sent.length = 0;
  const textOf = async (token: string) => {
    const found = await store.find(token);
    return found && new TextDecoder().decode(found.data);
  };
  return { client, store, textOf };
}

/** Each kind of operation, on a row that is there with the data "one" (for create: that is not there). */
const kinds: Record<string, (store: PgStore, token: string, signal?: AbortSignal) => Promise<unknown>> = {
  find: (store, token, signal) => store.find(token, { signal }),
  save: (store, token, signal) => store.save(token, bytes("two"), soon(), { signal }),
  create: (store, token, signal) => store.create(`new ${token}`, bytes("two"), soon(), { signal }),
  replace: (store, token, signal) => store.replace(token, bytes("one"), bytes("two"), soon(), { signal }),
  touch: (store, token, signal) => store.touch(token, soon(), { signal }),
  delete: (store, token, signal) => store.delete(token, { signal }),
};

/** Puts rows there, past the store under test. */
async function fill(names: string[]): Promise<void> {
  await using other = new PgStore(pool, { cleanupInterval: 0 });
  await Promise.all(names.map((token) => other.save(token, bytes("one"), soon())));
}

for (const [kind, operate] of Object.entries(kinds)) {
  describe(`a batch of ${kind}`, () => {
    it("leaves in the same tick when nothing is under way, and gathers while something is", async () => {
      const { client, store } = await gated();
      const names = tokens(11);
      await fill(names);
      client.sent.length = 0;
      client.hold();
      const first = operate(store, names[0] ?? "");
      expect(client.sent).toHaveLength(1);
      const rest = names.slice(1).map((token) => operate(store, token));
      expect(client.sent).toHaveLength(1);
      client.release();
      const answers = await Promise.all([first, ...rest]);
      expect(client.sent.map((one) => one.tokens.length)).toEqual([1, 10]);
      if (kind === "find") expect(answers.every((one) => one !== undefined)).toBe(true);
      else if (kind !== "save") expect(answers).toEqual(names.map(() => true));
    });

    it("after a shared one leaves with all that is asked in the same turn of the event loop, by whomever", async () => {
      const { client, store } = await gated();
      const names = tokens(6);
      await fill(names);
      await Promise.all(names.slice(2).map((token) => operate(store, token)));
      await new Promise((resolve) => setImmediate(resolve));
      const before = client.sent.length;
      const first = operate(store, names[0] ?? "");
      // Another request, in a callback of its own.
      const second = new Promise((resolve) => process.nextTick(() => resolve(operate(store, names[1] ?? ""))));
      expect(client.sent).toHaveLength(before);
      await new Promise((resolve) => setImmediate(resolve));
      expect(client.sent.slice(before).map((one) => one.tokens.length)).toEqual([2]);
      await Promise.all([first, second]);
      // This one carried a single row, so the next one of its kind doesn't wait.
      await operate(store, names[0] ?? "");
      const lone = operate(store, names[1] ?? "");
      expect(client.sent).toHaveLength(before + 3);
      await lone;
    });

    it("takes half of what waits, so that one is under way while the other's answers are read", async () => {
      const { client, store } = await gated();
      const names = tokens(81);
      await fill(names);
      const warm = operate(store, names[80] ?? "");
      const all = names.slice(0, 80).map((token) => operate(store, token));
      await Promise.all([warm, ...all]);
      const most = Math.max(...client.sent.map((one) => one.tokens.length));
      expect(most).toBeGreaterThanOrEqual(16);
      expect(most).toBeLessThanOrEqual(41);
    });

    it("takes all that waits where only one statement may be under way", async () => {
      const { client, store } = await gated({ statements: 1 });
      const names = tokens(81);
      await fill(names);
      await Promise.all(names.map((token) => operate(store, token)));
      expect(client.sent.map((one) => one.tokens.length)).toEqual([1, 80]);
    });

    it("answers each operation with its own row, with some that don't exist among them", async () => {
      const { store } = await gated({ rows: 4, statements: 2 });
      const names = tokens(30);
      await fill(names.filter((_, n) => n % 3 !== 0));
      if (kind === "create") {
        await fill(names.filter((_, n) => n % 3 === 0).map((token) => `new ${token}`));
      }
      const answers = await Promise.all(names.map((token) => operate(store, token)));
      if (kind === "save") return;
      expect(answers.map(Boolean)).toEqual(names.map((_, n) => n % 3 !== 0));
    });

    it("holds no more rows, and no more statements run at once, than the limits say", async () => {
      const { client, store } = await gated({ rows: 5, statements: 2 });
      const names = tokens(23);
      await fill(names);
      const before = client.sent.length;
      client.hold();
      const all = names.map((token) => operate(store, token));
      expect(client.sent.slice(before).map((one) => one.tokens.length)).toEqual([1, 5]);
      client.release();
      await Promise.all(all);
      expect(client.most).toBe(2);
      for (const one of client.sent.slice(before)) expect(one.tokens.length).toBeLessThanOrEqual(5);
    });

    it("throws StoreOverloadedError at once when too many wait, and recovers when they are done", async () => {
      const { client, store } = await gated({ statements: 1, waiting: 3 });
      const names = tokens(6);
      await fill(names);
      client.hold();
      const taken = names.slice(0, 4).map((token) => operate(store, token));
      await expect(operate(store, names[4] ?? "")).rejects.toThrow(StoreOverloadedError);
      await expect(operate(store, names[4] ?? "")).rejects.toMatchObject({ code: "STORE_OVERLOADED" });
      client.release();
      await Promise.all(taken);
      await operate(store, names[5] ?? "");
    });

    it("is left by what is aborted, which never reaches the database, and goes on without it", async () => {
      const { client, store } = await gated({ statements: 1 });
      const names = tokens(6);
      await fill(names);
      const reason = new Error("no longer wanted");
      const before = client.sent.length;
      client.hold();
      const leading = operate(store, names[0] ?? "");
      const controllers = names.slice(1).map(() => new AbortController());
      const waiting = names.slice(1).map((token, n) => operate(store, token, controllers[n]?.signal));
      controllers[1]?.abort(reason);
      controllers[3]?.abort(reason);
      await expect(waiting[1]).rejects.toBe(reason);
      await expect(waiting[3]).rejects.toBe(reason);
      client.release();
      await Promise.all([leading, waiting[0], waiting[2], waiting[4]]);
      const sent = client.sent.slice(before).flatMap((one) => one.tokens.map((token) => token.replace("new ", "")));
      expect(sent.toSorted()).toEqual([0, 1, 3, 5].map((n) => names[n]));
    });

    it("does not hear of what is aborted before it begins, nor suffer from what is aborted under way", async () => {
      const { client, store } = await gated();
      const names = tokens(3);
      await fill(names);
      const before = client.sent.length;
      await expect(operate(store, "t0000", AbortSignal.abort())).rejects.toThrow(/abort/);
      expect(client.sent).toHaveLength(before);
      client.hold();
      const first = operate(store, "t0000");
      const controller = new AbortController();
      const second = operate(store, "t0001", controller.signal);
      const third = operate(store, "t0002");
      client.release();
      client.hold();
      await first;
      await expect.poll(() => client.sent.length).toBe(before + 2);
      controller.abort();
      await expect(second).rejects.toThrow(/abort/);
      client.release();
      await third;
      expect(client.sent.at(-1)?.tokens).toHaveLength(2);
    });
  });
}

describe("the same token twice", () => {
  it("keeps its order, across batches of every size", async () => {
    for (const batch of [{ rows: 1 }, { rows: 2 }, { rows: 256 }]) {
      const { client, store, textOf } = await gated(batch);
      client.hold();
      const saves = Array.from({ length: 12 }, (_, n) => [
        store.save("same", bytes(String(n)), soon()),
        store.save(`other ${n % 3}`, bytes(String(n)), soon()),
      ]);
      client.release();
      await Promise.all(saves.flat());
      expect(await textOf("same")).toBe("11");
      for (const n of [0, 1, 2]) expect(await textOf(`other ${n}`)).toBe(String(9 + n));
      for (const { tokens: batched } of client.sent) expect(new Set(batched).size).toBe(batched.length);
    }
  });

  it("goes on when the one before has failed or was aborted", async () => {
    const { client, store, textOf } = await gated();
    const controller = new AbortController();
    client.hold();
    const bad = store.save("same", tooLong, soon());
    const aborted = store.save("same", bytes("aborted"), soon(), { signal: controller.signal });
    const good = store.save("same", bytes("good"), soon());
    controller.abort();
    await expect(aborted).rejects.toThrow(/abort/);
    client.release();
    await expect(bad).rejects.toThrow(StoreError);
    await good;
    expect(await textOf("same")).toBe("good");
  });

  it("may be read by many at once, who get one row, and each bytes of its own", async () => {
    const { client, store } = await gated();
    await store.save("same", bytes("data"), soon());
    client.hold();
    const reads = Array.from({ length: 10 }, () => store.find("same"));
    client.release();
    const found = await Promise.all(reads);
    found[3]?.data.fill(0);
    for (const [n, one] of found.entries()) {
      expect(new TextDecoder().decode(one?.data)).toBe(n === 3 ? "\0\0\0\0" : "data");
    }
    expect(client.sent.length).toBeLessThanOrEqual(3);
    for (const { tokens: asked } of client.sent) expect(asked).toEqual(["same"]);
  });

  it("is read by many one after the other when it is large, so that each can be done before the next", async () => {
    const client = gatedClient(database.admin());
    const store = new PgStore(client, { cleanupInterval: 0, table: "large" });
    await store.migrate();
    const large = new Uint8Array(600_000);
    await store.save("same", large, soon());
    client.hold();
    let [living, most] = [0, 0];
    const reads = Array.from({ length: 20 }, async () => {
      const found = await store.find("same");
      most = Math.max(most, ++living);
      expect(found?.data.length).toBe(large.length);
      await new Promise(setImmediate);
      living--;
    });
    client.release();
    await Promise.all(reads);
    // Three statements, and those who are about to be done.
    expect(most).toBeLessThanOrEqual(6);
  });
});

describe("a large session that many load at once", () => {
  it.each([
    ["of texts is decoded a few times", "x".repeat(100_000), 4],
    ["of objects is decoded for each", { text: "x".repeat(100_000) }, 30],
  ])("%s, and changed by nobody else", async (_, value, most) => {
    let decoded = 0;
    const codec: Codec = {
      ...scsJson,
      decode: (data) => {
        decoded++;
        return scsJson.decode(data);
      },
    };
    const store = new PgStore(database.admin(), { cleanupInterval: 0, table: "large" });
    await store.migrate();
    const manager = new SessionManager<Record<string, unknown>>(store, { codec });
    const begun = await manager.load();
    begun.set("value", value);
    await manager.commit(begun);
    decoded = 0;
    const sessions = await Promise.all(Array.from({ length: 30 }, () => manager.load(begun.token)));
    expect(decoded).toBeLessThanOrEqual(most);
    if (most === 30) expect(decoded).toBe(30);
    sessions[0]?.set("value", "changed");
    if (typeof value === "object") Object.assign(sessions[1]?.get("value") as object, { text: "changed" });
    expect(sessions.slice(2).map((session) => session.get("value"))).toEqual(Array.from({ length: 28 }, () => value));
  });
});

describe("an answer", () => {
  it("holds a megabyte of data or a single row, and everybody gets theirs", async () => {
    const owner = database.admin();
    const sizes: number[] = [];
    const store = new PgStore(
      {
        query: async (text, values) => {
          const { rows } = await owner.query<{ data?: string | null }>(text, values);
          sizes.push(rows.reduce((sum, { data }) => sum + (data?.length ?? 0) * 0.75, 0));
          return { rows };
        },
      },
      { cleanupInterval: 0, table: "large" },
    );
    await store.migrate();
    const names = tokens(30);
    const lengths = names.map((_, n) => (n % 7 === 0 ? 1_300_000 : 90_000));
    for (const [n, token] of names.entries()) await store.save(token, new Uint8Array(lengths[n] ?? 0), soon());
    sizes.length = 0;
    const found = await Promise.all(names.map((token) => store.find(token)));
    expect(found.map((one) => one?.data.length)).toEqual(lengths);
    // The last row that fits may go beyond.
    expect(Math.max(...sizes)).toBeLessThanOrEqual((1 << 20) + 1_300_002);
  });
});

describe("a row that somebody has given no end", () => {
  it("is found and listed with the last instant that a Date can hold", async () => {
    const { store } = await gated();
    await store.save("endless", bytes("data"), soon());
    await pool.query("UPDATE sessions SET expiry = 'infinity'");
    expect((await store.find("endless"))?.expiry).toEqual(new Date(8.64e15));
    const listed = [];
    for await (const { expiry } of store.all()) listed.push(expiry);
    expect(listed).toEqual([new Date(8.64e15)]);
  });
});

describe("the expiry of a row", () => {
  it.each([
    "-c extra_float_digits=0",
    "-c extra_float_digits=-15",
    "-c DateStyle=German -c TimeZone=Asia/Kathmandu -c IntervalStyle=sql_standard -c bytea_output=escape -c standard_conforming_strings=off",
  ])("is the same to the millisecond, whatever the connection's settings are: %s", async (options) => {
    const store = new PgStore(database.pool({ max: 2, options }), { cleanupInterval: 0 });
    const instants = ["2001-02-03T04:05:06.999Z", "2038-01-19T03:14:08.001Z", "2105-12-31T23:59:59.999Z"];
    for (const at of instants) {
      const id = `at ${at}`;
      await store.save(id, bytes("data"), new Date(at));
      // Others may write microseconds.
      await pool.query("UPDATE sessions SET expiry = $2::timestamptz + interval '999 microseconds' WHERE token = $1", [
        id,
        at,
      ]);
    }
    const listed: string[] = [];
    for await (const { expiry } of store.all()) listed.push(expiry.toISOString());
    expect(listed).toEqual(instants.slice(1));
    const ids = instants.slice(1).map((at) => `at ${at}`);
    expect((await store.find(ids[0] ?? ""))?.expiry.toISOString()).toBe(instants[1]);
    const found = await Promise.all([...ids, ...ids].map((id) => store.find(id)));
    expect(found.map((each) => each?.expiry.toISOString())).toEqual([...instants.slice(1), ...instants.slice(1)]);
  });
});

describe("a batch that waits for its statement to be sent", () => {
  it("goes without those whose time is over by then, or who have given up", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const gates = [new Gate(), new Gate()];
    const sent: unknown[] = [];
    const driver: Driver = {
      prepares: false,
      run: async ({ text, load }) => {
        await gates[sent.length]?.wait();
        const { values } = load() ?? expect.unreachable();
        sent.push(values[0]);
        return (await pool.query(text, values)).rows as Row[];
      },
    };
    const table = tableName("sessions", undefined);
    const executor = new Executor(driver, 20_000, false, table, "");
    const limits = { rows: 256, statements: 1, waiting: 100 };
    const told = {
      additions: () => ({ owners: true, users: true, seen: true, history: true }),
      onMissing: () => {},
      onWritten: () => {},
      onFence: async () => new Map<string, boolean>(),
    };
    const operations = operationsFor(table, scsLayout, 1000);
    const dispatcher = new Dispatcher(executor, operations, scsLayout, limits, 10_000, told);
    const controller = new AbortController();
    const create = (token: string, signal?: AbortSignal) =>
      dispatcher.write("create", [token, "", String(Date.now() + 60_000)], signal);
    const first = create("first");
    const older = create("older");
    vi.advanceTimersByTime(5000);
    const younger = create("younger");
    const aborted = create("aborted", controller.signal);
    gates[0]?.open();
    expect(await first).toBe(true);
    // The three are on their way.
    await new Promise(setImmediate);
    vi.advanceTimersByTime(5000);
    controller.abort();
    await expect(aborted).rejects.toThrow(/abort/);
    gates[1]?.open();
    await expect(older).rejects.toThrow(StoreUnavailableError);
    expect(await younger).toBe(true);
    expect(sent).toEqual(['{"first"}', '{"younger"}']);
  });
});

describe("a batch that the database refuses", () => {
  /** Creates so many at once, some of them with bytes that are refused, and says what came of it. */
  async function create(store: PgStore, names: string[], isBad: (n: number) => boolean) {
    const outcomes = await Promise.allSettled(
      names.map((token, n) => store.create(token, isBad(n) ? tooLong : bytes("good"), soon())),
    );
    return outcomes.map(({ status }) => status === "fulfilled");
  }

  it("costs few statements more for a row, and none of its neighbours anything", async () => {
    const { client, store } = await gated();
    const names = tokens(300);
    const well = await create(store, names, (n) => n === 150);
    expect(well).toEqual(names.map((_, n) => n !== 150));
    expect(client.sent.length).toBeLessThan(35);
  });

  it("fails those that are refused, however many they are, and nobody else", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 2, maxLength: 60, size: "max" }), async (bad) => {
        await pool.query("DELETE FROM sessions");
        // Not more than a third: when all that are tried alone are refused, all are taken to be.
        const isBad = (n: number): boolean => n % 3 === 1 && bad[n] === true;
        const { store } = await gated();
        const names = tokens(bad.length);
        expect(await create(store, names, isBad)).toEqual(bad.map((_, n) => !isBad(n)));
        expect(new Set((await pool.query("SELECT token FROM sessions")).rows.map(({ token }) => token))).toEqual(
          new Set(names.filter((_, n) => !isBad(n))),
        );
      }),
      { numRuns: 10 },
    );
  });

  it("takes no neighbour along, also when the three that are tried alone first are refused", async () => {
    const { store } = await gated({ statements: 1 });
    const names = tokens(60);
    // The first one may go out by itself.
    for (const first of [0, 1]) {
      const bad = new Set([first, 10, 30, 45, 59]);
      expect(await create(store, names, (n) => bad.has(n))).toEqual(names.map((_, n) => !bad.has(n)));
      await Promise.all(names.map((token) => store.delete(token)));
    }
  });

  it("is not divided when what was refused lies in no row", async () => {
    const { client, store } = await gated();
    const admin = database.admin({ max: 1 });
    const names = tokens(300);
    const refuse = `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = TG_ARGV[0]; END $$`;
    await admin.query(refuse);
    try {
      for (const [code, most] of [
        ["42501", 1],
        ["P0001", 8],
      ] as const) {
        await admin.query(
          `CREATE TRIGGER refuse BEFORE INSERT ON sessions FOR EACH STATEMENT EXECUTE FUNCTION refuse('${code}')`,
        );
        client.sent.length = 0;
        expect(await create(store, names, () => false)).toEqual(names.map(() => false));
        expect(client.sent.length, code).toBeLessThanOrEqual(14 * most);
        await admin.query("DROP TRIGGER refuse ON sessions");
      }
    } finally {
      await admin.query("DROP FUNCTION refuse() CASCADE");
    }
    expect(await create(store, names, () => false)).toEqual(names.map(() => true));
  });

  it("is tried again behind what waits, and whose row was refused goes alone the next time", async () => {
    const { client, store } = await gated({ statements: 1 });
    const first = store.save("first", bytes("good"), soon());
    client.hold();
    client.release();
    await first;
    client.sent.length = 0;
    client.hold();
    const stuck = store.save("stuck", bytes("good"), soon());
    const together = ["a", "b", "c", "d", "bad"].map((token) =>
      store.save(token, token === "bad" ? tooLong : bytes("good"), soon()).catch(() => "refused"),
    );
    client.release();
    await stuck;
    const behind = store.save("behind", bytes("good"), soon());
    await Promise.all([...together, behind]);
    expect(client.sent.map((one) => one.tokens)[2]).toEqual(["behind"]);
    client.sent.length = 0;
    client.hold();
    const again = [
      store.save("stuck", bytes("good"), soon()),
      store.save("a", bytes("good"), soon()),
      store.save("bad", tooLong, soon()).catch(() => "refused"),
      store.save("b", bytes("good"), soon()),
    ];
    client.release();
    await Promise.all(again);
    expect(client.sent.map((one) => one.tokens)).toEqual([["stuck"], ["a", "b"], ["bad"]]);
    await store.save("bad", bytes("good"), soon());
    client.sent.length = 0;
    client.hold();
    const better = ["stuck", "a", "bad"].map((token) => store.save(token, bytes("good"), soon()));
    client.release();
    await Promise.all(better);
    expect(client.sent.map((one) => one.tokens)).toEqual([["stuck"], ["a", "bad"]]);
  });
});

describe("close", () => {
  it("waits for the reads that are queued", async () => {
    const { client, store } = await gated({ rows: 1, statements: 1 });
    client.hold();
    const reads = tokens(5).map((token) => store.find(token));
    const closing = store.close();
    client.release();
    await closing;
    expect(client.sent).toHaveLength(5);
    await Promise.all(reads);
  });
});

describe("an answer that makes no sense", () => {
  it("fails its operation and holds up no other", async () => {
    let answer: unknown[] = [{ token: "t", data: 5, expiry: "5", now: "5" }];
    const client = { query: async () => ({ rows: answer }) } as unknown as PgClient;
    await using store = new PgStore(client, { cleanupInterval: 0, batch: { statements: 1 } });
    await expect(store.find("t")).rejects.toThrow(TypeError);
    answer = [];
    expect(await store.find("t")).toBe(undefined);
  });
});

describe("a row that the database refuses", () => {
  const writes: Record<string, (store: PgStore, token: string, data: Uint8Array) => Promise<unknown>> = {
    save: (store, token, data) => store.save(token, data, soon()),
    create: (store, token, data) => store.create(`new ${token}`, data, soon()),
    replace: (store, token, data) => store.replace(token, bytes("one"), data, soon()),
  };
  for (const [kind, write] of Object.entries(writes)) {
    it(`fails alone, not its neighbours: ${kind}`, async () => {
      const { client, store, textOf } = await gated();
      const names = tokens(21);
      await fill(names);
      client.hold();
      const results = names.map((token, n) => write(store, token, n === 7 || n === 13 ? tooLong : bytes("two")));
      client.release();
      const settled = await Promise.allSettled(results);
      for (const [n, result] of settled.entries()) {
        const refused = n === 7 || n === 13;
        expect(result.status).toBe(refused ? "rejected" : "fulfilled");
        if (result.status === "rejected") expect(result.reason).toBeInstanceOf(StoreError);
        if (result.status === "fulfilled" && kind !== "save") expect(result.value).toBe(true);
        const token = kind === "create" ? `new ${names[n]}` : (names[n] ?? "");
        expect(await textOf(token)).toBe(refused ? (kind === "create" ? undefined : "one") : "two");
      }
    });
  }
});

describe("the time limit", () => {
  it("covers the wait for a statement, and what has waited too long is never carried out", async () => {
    const { client, store } = await gated({ statements: 1 }, { queryTimeout: 300 });
    client.hold();
    const stuck = store.save("stuck", bytes("x"), soon());
    const waiting = store.save("waiting", bytes("x"), soon());
    const message = "the database did not answer within 300 ms";
    const reasons = (await Promise.allSettled([stuck, waiting])).map((one) => one.status === "rejected" && one.reason);
    expect(reasons).toEqual([new StoreUnavailableError(message), new StoreUnavailableError(message)]);
    client.release();
    await store.close();
    const patient = new PgStore(client, { cleanupInterval: 0 });
    await patient.save("after", bytes("x"), soon());
    expect(client.sent.flatMap((one) => one.tokens)).toEqual(["stuck", "after"]);
    await patient.close();
  });

  it("is not reached by operations behind one that is held up by a lock", async () => {
    const { client, store } = await gated();
    const names = tokens(4);
    await fill(names);
    const blocker = await pool.connect();
    await blocker.query("BEGIN");
    await blocker.query("SELECT 1 FROM sessions WHERE token = 't0000' FOR UPDATE");
    const stuck = store.touch("t0000", soon());
    expect(await Promise.all(names.slice(1).map((token) => store.touch(token, soon())))).toEqual([true, true, true]);
    expect(client.underWay).toBe(1);
    await blocker.query("COMMIT");
    blocker.release();
    expect(await stuck).toBe(true);
  });
});

describe("large rows", () => {
  it("share a statement only up to a megabyte", async () => {
    const empty = await createDatabase();
    const client = gatedClient(empty.pool());
    const store = new PgStore(client, { cleanupInterval: 0 });
    client.hold();
    const data = new Uint8Array(300_000);
    const saves = tokens(10).map((token) => store.save(token, data, soon()));
    client.release();
    await Promise.all(saves);
    // The first leaves at once; then two of 400,000 characters fit, a third would not.
    expect(client.sent.map((one) => one.tokens.length)).toEqual([1, 2, 2, 2, 2, 1]);
    await store.close();
    await empty.drop();
  });
});

describe("PgStore.close", () => {
  it("waits for what has been accepted, in the queue as well", async () => {
    const { client, store } = await gated({ rows: 2, statements: 1 });
    client.hold();
    const saves = tokens(9).map((token) => store.save(token, bytes("x"), soon()));
    const closing = store.close();
    await expect(store.find("t")).rejects.toThrow("the store is closed");
    client.release();
    await closing;
    await Promise.all(saves);
    expect((await pool.query("SELECT 1 FROM sessions")).rowCount).toBe(9);
  });
});
