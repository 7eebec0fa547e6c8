import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type BatchEvent, PgStore, SessionManager } from "../../src/index.ts";
import { createToken, idOf } from "../../src/lib/core/token.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { eventsOf } from "../support/events.ts";
import { gatedClient } from "../support/gated-client.ts";

type Data = Record<string, unknown>;

const TOMORROW = new Date(Date.now() + 86_400_000);
const BYTES = Buffer.from("data");

let database: TestDatabase;
let pool: pg.Pool;
let store: PgStore;
let manager: SessionManager<Data>;
beforeAll(async () => {
  database = await createDatabase();
  pool = database.pool({ max: 4 });
  pool.on("error", () => {});
  store = new PgStore(pool, { cleanupInterval: 0 });
  manager = new SessionManager<Data>(store);
});
afterAll(async () => {
  await store?.close();
  await database?.drop();
});

/** A store on a table that is not there. */
const withoutTable = (): PgStore => new PgStore(pool, { table: "missing", cleanupInterval: 0 });

async function stored(): Promise<string> {
  const session = await manager.load();
  session.set("name", "Ada");
  await manager.commit(session);
  return session.token ?? "";
}

const milliseconds = expect.toSatisfy((value) => typeof value === "number" && value >= 0 && value < 60_000) as number;

describe("pgstore:load", () => {
  it("tells what came of each", async () => {
    const [live, ended, unreadable, unknown] = [await stored(), await stored(), await stored(), createToken()];
    await manager.destroyById(idOf(ended));
    await pool.query("UPDATE sessions SET data = 'nonsense' WHERE token = $1", [idOf(unreadable)]);
    const events = eventsOf("load");
    for (const token of [live, ended, unreadable, unknown]) await manager.load(token);
    expect(events).toEqual([
      { id: idOf(live), outcome: "live", duration: milliseconds },
      { id: idOf(ended), outcome: "ended", duration: milliseconds },
      { id: idOf(unreadable), outcome: "unreadable", duration: milliseconds },
      { id: idOf(unknown), outcome: "unknown", duration: milliseconds },
    ]);
  });

  it("tells of several tokens which way it went", async () => {
    const [one, other] = [await stored(), await stored()];
    const events = eventsOf("load");
    await manager.load([createToken(), one]);
    await manager.load([one, other]);
    expect(events.map(({ outcome }) => outcome)).toEqual(["live", "duplicate"]);
    expect(events[1]?.id).toBe(idOf(one));
  });

  it("tells of a store that fails, by its error's code", async () => {
    const events = eventsOf("load");
    const token = createToken();
    await expect(new SessionManager(withoutTable()).load(token)).rejects.toThrow("missing");
    expect(events).toEqual([{ id: idOf(token), outcome: "failed", code: "SCHEMA", duration: milliseconds }]);
  });

  it("says nothing where nothing is looked for", async () => {
    const events = eventsOf("load");
    await manager.load();
    await manager.load("no token");
    expect(events).toEqual([]);
  });

  it("has a token's SHA-256 for an id, where the table has the token itself", async () => {
    const events = eventsOf("load");
    const token = createToken();
    await new SessionManager(store, { hashTokens: false }).load(token);
    expect(events.map(({ id }) => id)).toEqual([idOf(token)]);
  });
});

describe("pgstore:commit", () => {
  it("tells of each kind of write", async () => {
    const events = eventsOf("commit");
    const active = new SessionManager<Data>(store, { idleTimeout: "1h", touchAfter: 0 });
    const session = await active.load();
    session.set("name", "Ada");
    await active.commit(session);
    const first = session.id;
    session.set("name", "Bob");
    await active.commit(session);
    await pool.query("UPDATE sessions SET expiry = expiry - interval '1 minute' WHERE token = $1", [first]);
    await active.commit(await active.load(session.token));
    await session.renewToken();
    const second = session.id;
    await session.destroy();
    const last = { outcome: "stored", attempts: 1, duration: milliseconds };
    expect(events).toEqual([
      { id: first, plan: "create", ...last },
      { id: first, plan: "replace", ...last },
      { id: first, plan: "touch", ...last },
      { id: second, plan: "renew", ...last },
      { id: second, plan: "destroy", ...last },
    ]);
    expect(second).not.toBe(first);
  });

  it("says nothing when there is nothing to do", async () => {
    const token = await stored();
    const events = eventsOf("commit");
    await manager.commit(await manager.load(token));
    await manager.commit(await manager.load());
    expect(events).toEqual([]);
  });

  it("counts the attempts, where other processes were faster", async () => {
    const token = await stored();
    const conflicts = eventsOf("conflict");
    const events = eventsOf("commit");
    const [ours, theirs] = [await manager.load(token), await new SessionManager<Data>(store).load(token)];
    theirs.set("theirs", 1);
    await new SessionManager<Data>(store).commit(theirs);
    ours.set("ours", 1);
    await manager.commit(ours);
    expect(events.map(({ plan, attempts }) => [plan, attempts])).toEqual([
      ["replace", 1],
      ["replace", 2],
    ]);
    expect(conflicts).toHaveLength(1);
  });

  it("tells what was dropped, as the session has ended meanwhile or before", async () => {
    const token = await stored();
    const [session, other] = [await manager.load(token), await manager.load(token)];
    await other.destroy();
    const events = eventsOf("commit");
    session.set("late", 1);
    await manager.commit(session);
    const stale = await manager.load(token);
    stale.set("later", 1);
    await manager.commit(stale);
    const gone = { id: idOf(token), outcome: "gone", attempts: 1, duration: milliseconds };
    expect(events).toEqual([
      { plan: "replace", ...gone },
      { plan: "drop", ...gone },
    ]);
  });

  it("tells of a store that fails", async () => {
    const broken = new SessionManager<Data>(withoutTable());
    const session = await broken.load();
    session.set("name", "Ada");
    const events = eventsOf("commit");
    await expect(broken.commit(session)).rejects.toThrow("missing");
    expect(events).toEqual([
      { id: undefined, plan: "create", outcome: "failed", code: "SCHEMA", attempts: 1, duration: milliseconds },
    ]);
  });
});

describe("pgstore:batch", () => {
  it("tells how many shared a statement, and how long they waited for it", async () => {
    const client = gatedClient(pool);
    const gated = new PgStore(client, { cleanupInterval: 0, batch: { statements: 1 } });
    const events = eventsOf("batch");
    client.hold();
    const finds = Array.from({ length: 41 }, () => gated.find(createToken()));
    const held = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const wait = performance.now() - held;
    client.release();
    await Promise.all(finds);
    await gated.close();
    expect(events).toEqual([
      { operation: "find", size: 1, wait: milliseconds, duration: milliseconds, failed: 0 },
      { operation: "find", size: 40, wait: milliseconds, duration: milliseconds, failed: 0 },
    ]);
    expect(events[0]?.duration).toBeGreaterThanOrEqual(wait);
    expect(events[1]?.wait).toBeGreaterThanOrEqual(wait);
  });

  it("names every operation", async () => {
    const events = eventsOf("batch");
    const [token, next] = [createToken(), createToken()].map(idOf) as [string, string];
    await store.create(token, BYTES, TOMORROW);
    await store.replace(token, BYTES, BYTES, TOMORROW);
    await store.touch(token, TOMORROW);
    await store.setExpiry(token, TOMORROW);
    await store.renew(token, next, BYTES, BYTES, TOMORROW);
    await store.upsert(next, BYTES, TOMORROW);
    await store.save(next, BYTES, TOMORROW);
    await store.find(next);
    await store.end(next);
    await store.delete(next);
    expect(events.map(({ operation, size, failed }) => `${operation} ${size} ${failed}`)).toEqual(
      ["create", "replace", "touch", "setExpiry", "renew", "upsert", "save", "find", "end", "delete"].map(
        (operation) => `${operation} 1 0`,
      ),
    );
  });

  it("tells of rows that failed, and their neighbours that did not", async () => {
    const client = gatedClient(pool);
    const gated = new PgStore(client, { table: "checked", cleanupInterval: 0, batch: { statements: 1 } });
    const admin = database.admin({ max: 1 });
    await new PgStore(admin, { table: "checked", cleanupInterval: 0 }).migrate();
    await admin.query("ALTER TABLE checked ADD CHECK (token <> 'bad')");
    const [events, errors] = [eventsOf("batch"), eventsOf("store-error")];
    client.hold();
    const saves = ["first", "good", "bad", "better"].map((token) => gated.save(token, BYTES, TOMORROW));
    client.release();
    const outcomes = await Promise.allSettled(saves);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    await gated.close();
    expect(events.map(({ size, failed, code }) => ({ size, failed, code }))).toEqual([
      { size: 1, failed: 0, code: undefined },
      // Those three were refused together, and then were carried out each by itself.
      { size: 1, failed: 0, code: undefined },
      { size: 1, failed: 1, code: "STORE_FAILED" },
      { size: 1, failed: 0, code: undefined },
    ]);
    expect(errors).toEqual([{ operation: "save", code: "STORE_FAILED" }]);
  });

  it("comes in the asynchronous context of the request that has waited for the longest", async () => {
    const client = gatedClient(pool);
    const gated = new PgStore(client, { cleanupInterval: 0, batch: { statements: 1 } });
    const request = new AsyncLocalStorage<string>();
    const told: [string | undefined, number][] = [];
    const listener = (event: unknown): unknown => told.push([request.getStore(), (event as BatchEvent).size]);
    subscribe("pgstore:batch", listener);
    onTestFinished(() => void unsubscribe("pgstore:batch", listener));
    client.hold();
    const finds = ["first", "second", "third"].map((name) => request.run(name, () => gated.find(createToken())));
    client.release();
    await Promise.all(finds);
    await request.run("last", () => gated.find(createToken()));
    await gated.close();
    expect(told).toEqual([
      ["first", 1],
      ["second", 2],
      ["last", 1],
    ]);
  });
});

describe("pgstore:store-error", () => {
  it("tells of what never left", async () => {
    const client = gatedClient(pool);
    const gated = new PgStore(client, {
      cleanupInterval: 0,
      queryTimeout: 200,
      batch: { statements: 1, waiting: 1 },
    });
    const events = eventsOf("store-error");
    client.hold();
    const finds = [1, 2, 3].map(() => gated.find(createToken()));
    const outcomes = await Promise.allSettled(finds);
    client.release();
    await gated.close();
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(events).toEqual([
      { operation: "find", code: "STORE_OVERLOADED" },
      { operation: "find", code: "STORE_UNAVAILABLE" },
      { operation: "find", code: "STORE_UNAVAILABLE" },
    ]);
  });

  it("says nothing of an operation that its caller cancels", async () => {
    const client = gatedClient(pool);
    const gated = new PgStore(client, { cleanupInterval: 0 });
    const events = eventsOf("store-error");
    const controller = new AbortController();
    client.hold();
    const find = gated.find(createToken(), { signal: controller.signal });
    controller.abort();
    await expect(find).rejects.toThrow("aborted");
    client.release();
    await gated.close();
    expect(events).toEqual([]);
  });
});

describe("pgstore:cleanup", () => {
  const expired = (count: number): Promise<unknown> =>
    pool.query(
      `INSERT INTO sessions SELECT 'expired ' || n, '', current_timestamp - interval '1 hour' FROM generate_series(1, $1::int) n`,
      [count],
    );

  it("tells how many rows went, of pages of them", async () => {
    await store.deleteExpired();
    await expired(1200);
    const events = eventsOf("cleanup");
    const progress: number[] = [];
    expect(await store.deleteExpired({ onProgress: ({ removed }) => progress.push(removed) })).toBe(1200);
    expect(await store.deleteExpired()).toBe(0);
    expect(events).toEqual([
      { removed: 1200, duration: milliseconds },
      { removed: 0, duration: milliseconds },
    ]);
    expect(progress.at(-1)).toBe(1200);
    expect(progress.length).toBeGreaterThan(1);
  });

  it("tells how far one has come that was stopped or failed", async () => {
    await store.deleteExpired();
    await expired(1200);
    const events = eventsOf("cleanup");
    const controller = new AbortController();
    const stopped = store.deleteExpired({ signal: controller.signal, onProgress: () => controller.abort() });
    await expect(stopped).rejects.toThrow("aborted");
    await expect(withoutTable().deleteExpired()).rejects.toThrow("missing");
    expect(events).toEqual([
      { removed: 500, duration: milliseconds, code: "AbortError" },
      { removed: 0, duration: milliseconds, code: "SCHEMA" },
    ]);
    expect(await store.deleteExpired()).toBe(700);
  });
});
