import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import cookie from "@fastify/cookie";
import fastifySession from "@fastify/session";
import connectPgSimple from "connect-pg-simple";
import express from "express";
import session from "express-session";
import createFastify from "fastify";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ExpressSessionData, ExpressSessionStore } from "../../src/express-session.ts";
import { PgStore } from "../../src/index.ts";
import { sha256 } from "../../src/lib/core/token.ts";
import type { NodeListener } from "../../src/lib/adapters/node.ts";
import { Gate } from "../support/barrier.ts";
import { connectPgSimpleTable } from "../support/connect-pg-simple.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { eventsOf } from "../support/events.ts";
import { cookieOf, serve, serving } from "../support/serve.ts";

// A program of its own (tsconfig.json beside this file): the hosts have another type for request.session than our adapters.
declare module "express-session" {
  interface SessionData {
    user: string;
    count: number;
  }
}
declare module "fastify" {
  interface Session {
    user: string;
    count: number;
  }
}

const secret = "a secret of more than thirty-two characters";
const ours = "connect-pg-simple" as const;
let database: TestDatabase;
let pool: pg.Pool;
let admin: pg.Pool;
const stores: ExpressSessionStore[] = [];

beforeAll(async () => {
  database = await createDatabase();
  pool = database.pool();
  admin = database.admin({ max: 1 });
  for (const sql of connectPgSimpleTable('"session"')) await admin.query(sql);
});
afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await database.drop();
});

function open(): ExpressSessionStore {
  const store = new ExpressSessionStore({ pool, layout: ours, cleanupInterval: 0 });
  stores.push(store);
  return store;
}

function openTheirs(): session.Store {
  return new (connectPgSimple(session))({ pool, pruneSessionInterval: false });
}

/** Logs in, counts, logs out; `/slow` waits for the gate before it ends. */
function application(
  store: session.Store,
  options: Partial<session.SessionOptions> = {},
  gate = new Gate(),
): NodeListener {
  const app = express();
  app.set("env", "test");
  app.use(session({ store, secret, resave: false, saveUninitialized: false, ...options }));
  app.get("/login", (request, response, next) => {
    request.session.regenerate((error) => {
      if (error) return next(error);
      request.session.user = "alice";
      response.send("hello");
    });
  });
  app.get("/count", (request, response) => {
    request.session.count = (request.session.count ?? 0) + 1;
    response.send(`${request.session.user} ${request.session.count}`);
  });
  app.get("/slow", async (request, response) => {
    request.session.count = 100;
    await gate.wait();
    response.send("late");
  });
  app.get("/whoami", (request, response) => void response.send(String(request.session.user)));
  app.get("/reload", (request, response, next) => {
    request.session.reload((error) => (error ? next(error) : response.send(String(request.session.user))));
  });
  app.get("/shorter", (request, response) => {
    request.session.cookie.maxAge = 5000;
    response.send("ok");
  });
  app.get("/logout", (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.send("bye")));
  });
  return app;
}

describe("ExpressSessionStore in express-session", () => {
  it("serves log in, read, write and log out", async () => {
    await serving(application(open()), async ({ get }) => {
      const anonymous = await get("/whoami");
      expect(cookieOf(anonymous)).toBeUndefined();
      const first = cookieOf(await get("/count")) ?? "";
      const alice = cookieOf(await get("/login", first)) ?? "";
      expect(alice).not.toBe(first);
      expect(await (await get("/whoami", first)).text()).toBe("undefined");
      expect(await (await get("/count", alice)).text()).toBe("alice 1");
      expect(await (await get("/count", alice)).text()).toBe("alice 2");
      expect(await (await get("/reload", alice)).text()).toBe("alice");
      await get("/logout", alice);
      expect(await (await get("/whoami", alice)).text()).toBe("undefined");
    });
  });

  it("keeps a destroyed session destroyed, though a request that loaded it ends later, in another process's store", async () => {
    const gate = new Gate();
    const [here, there] = await Promise.all([serve(application(open(), {}, gate)), serve(application(open()))]);
    const alice = cookieOf(await there.get("/login")) ?? "";
    const late = Array.from({ length: 5 }, () => here.get("/slow", alice));
    // They have loaded the session when the store has answered them all.
    await expect.poll(async () => (await here.get("/whoami", alice)).text()).toBe("alice");
    await there.get("/logout", alice);
    // As a cleanup does after the time for it: nothing tells any more that there was a session.
    await admin.query("DELETE FROM session WHERE sess::text = 'null'");
    gate.open();
    for (const response of await Promise.all(late)) {
      expect(response.status).toBe(200);
      // Its last byte comes when the session is stored, or dropped.
      await response.text();
    }
    for (const { get } of [here, there]) expect(await (await get("/whoami", alice)).text()).toBe("undefined");
    await Promise.all([here.close(), there.close()]);
  });

  it("ends earlier when the cookie's life is made shorter, and later with each request when it is rolling", async () => {
    const store = open();
    const options = { rolling: true, cookie: { maxAge: 3_600_000 } };
    await serving(application(store, options), async ({ get }) => {
      const login = await get("/login");
      await login.text();
      const alice = cookieOf(login) ?? "";
      const expiry = async (): Promise<number> =>
        (
          await pool.query(
            "SELECT extract(epoch FROM expire::timestamptz)::float8 * 1000 AS at FROM session WHERE sid = $1",
            [/s%3A([^.]+)\./.exec(alice)?.[1]],
          )
        ).rows[0].at;
      const begun = await expiry();
      // express-session holds the last byte back until the touch is done.
      await (await get("/whoami", alice)).text();
      const touched = await expiry();
      expect(touched).toBeGreaterThan(begun);
      await (await get("/shorter", alice)).text();
      expect(await expiry()).toBeLessThan(touched - 3_000_000);
    });
  });

  it("loads a session without a request, and makes it before any other has come", async () => {
    const store = open();
    application(store, { cookie: { maxAge: 60_000 } });
    await store.set("sid", { cookie: { expires: new Date(Date.now() + 60_000) }, user: "bob" } as never);
    const loaded = await new Promise<unknown>((resolve, reject) =>
      store.load("sid", (error, found) => (error ? reject(error) : resolve(found))),
    );
    expect(loaded).toMatchObject({ id: "sid", user: "bob" });
    expect((loaded as session.Session).cookie.maxAge).toBeGreaterThan(50_000);
    expect(loaded).toHaveProperty("save");
    await expect(
      new Promise((resolve) => store.load("missing", (_error, found) => resolve(found))),
    ).resolves.toBeUndefined();
  });

  it("passes a session without a cookie to express-session's own error, in the words of its own store", async () => {
    const store = open();
    await serving(application(store), async ({ get }) => {
      const alice = cookieOf(await get("/login")) ?? "";
      const sid = /s%3A([^.]+)\./.exec(alice)?.[1] ?? "";
      await store.set(sid, { user: "alice" } as never);
      const response = await get("/whoami", alice);
      expect(response.status).toBe(500);
      expect(await response.text()).toMatch(/Cannot read prop.*undefined/);
      const error = await new Promise((resolve) => store.load(sid, resolve));
      expect(error).toBeInstanceOf(TypeError);
    });
  });

  it.each(["destroy", "save", "regenerate"] as const)(
    "survives %s without a callback when that fails",
    async (method) => {
      const store = open();
      const failures: unknown[] = [];
      const listener = (reason: unknown): unknown => failures.push(reason);
      process.on("unhandledRejection", listener).on("uncaughtException", listener);
      const app = express();
      app.set("env", "test");
      app.use(session({ store, secret, resave: false, saveUninitialized: false }));
      app.get("/", async (request, response) => {
        await store.close();
        (request.session as unknown as Record<typeof method, () => void>)[method]();
        await new Promise((resolve) => setImmediate(resolve));
        response.end("ok");
      });
      await serving(app, async ({ get }) => expect([200, 500]).toContain((await get("/")).status));
      process.off("unhandledRejection", listener).off("uncaughtException", listener);
      expect(failures).toEqual([]);
    },
  );

  it("stores what waits for an earlier write of its session before it closes", async () => {
    const store = new ExpressSessionStore({ pool, cleanupInterval: 0 });
    const sid = "closed while it waits";
    const write = (count: number): Promise<void> => store.set(sid, { cookie: {}, count } as ExpressSessionData);
    await write(0);
    const client = await admin.connect();
    await client.query("BEGIN");
    await client.query("SELECT FROM sessions WHERE token = $1 FOR UPDATE", [sha256(sid)]);
    const writes = Promise.all([write(1), write(2)]);
    const closed = store.close();
    await client.query("COMMIT");
    client.release();
    await Promise.all([writes, closed]);
    const reader = new ExpressSessionStore({ pool, cleanupInterval: 0 });
    expect(await reader.get(sid)).toMatchObject({ count: 2 });
    await reader.destroy(sid);
    await reader.close();
  });

  it("takes a row that is no session for none, leaves it alone, and tells", async () => {
    const kept = new PgStore(pool, { cleanupInterval: 0 });
    const store = new ExpressSessionStore({ store: kept });
    const sid = "of another program";
    await kept.save(sha256(sid), new TextEncoder().encode("[1]"), new Date(Date.now() + 60_000));
    await store.set("ours", { cookie: {} });
    const told = eventsOf("error");
    expect(await store.get(sid)).toBe(undefined);
    expect(told).toEqual([{ id: sha256(sid), error: expect.any(TypeError) as unknown }]);
    expect(await store.all()).toHaveLength(1);
    expect(await kept.find(sha256(sid))).toBeDefined();
    await kept.close();
  });

  it("says what is wrong when it serves no middleware", () => {
    expect(() => open().createSession({}, { cookie: {} })).toThrow(/createSession: expected a store in use/);
  });

  it("passes what the database answers on as an error, and no session's data with it", async () => {
    const store = new ExpressSessionStore({ pool, table: "absent", layout: ours, cleanupInterval: 0 });
    stores.push(store);
    await expect(store.get("sid")).rejects.toMatchObject({ name: "SchemaError", message: /absent/ });
    const alice = await serving(application(open()), async ({ get }) => cookieOf(await get("/login")));
    await serving(application(store), async ({ get }) => expect((await get("/count", alice)).status).toBe(500));
    await admin.query(
      "CREATE TABLE binary_json (sid varchar PRIMARY KEY, sess jsonb NOT NULL, expire timestamp(6) NOT NULL)",
    );
    const jsonb = new ExpressSessionStore({ pool, table: "binary_json", layout: ours, cleanupInterval: 0 });
    stores.push(jsonb);
    const refused = jsonb.set("sid", { cookie: {}, secret: "se\u0000cret \ud800" } as never);
    await expect(refused).rejects.toMatchObject({ name: "TypeError", message: /^session: .*jsonb/ });
    const error: unknown = await refused.catch((thrown: unknown) => thrown);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toMatch(/cret/);
    // From now on it is known; what only looks so is stored.
    const texts = ["\u0000", "\ud800", "\udfff x", "\\u0000", "\\\\ud800", "\ud83d\ude00"];
    const outcomes = await Promise.allSettled(
      texts.map((text, n) => jsonb.set(`sid ${n}`, { cookie: {}, text } as never)),
    );
    expect(outcomes.map(({ status }) => status === "fulfilled")).toEqual([false, false, false, true, true, true]);
    expect(await jsonb.get("sid 4")).toMatchObject({ text: texts[4] });
    await expect(open().set("sid", { cookie: {}, secret: "se\u0000cret \ud800" } as never)).resolves.toBeUndefined();
  });

  it("takes a text that jsonb would refuse for no reason where another one is given", async () => {
    await admin.query(
      "CREATE TABLE narrow (sid varchar PRIMARY KEY, sess json NOT NULL CHECK (length(sess::text) < 100), expire timestamp(6) NOT NULL)",
    );
    const store = new ExpressSessionStore({ pool, table: "narrow", layout: ours, cleanupInterval: 0 });
    stores.push(store);
    const set = (text: string): Promise<void> => store.set("sid", { cookie: {}, text } as never);
    await expect(set(`\u0000${"long".repeat(50)}`)).rejects.toMatchObject({ name: "StoreError" });
    await expect(set("\u0000short")).resolves.toBe(undefined);
  });

  it("calls each callback once, whatever it throws, and leaves the session alone", async () => {
    const script = fileURLToPath(new URL("process.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--import",
      "tsx",
      script,
      database.url,
      "session",
    ]);
    expect(JSON.parse(stdout)).toEqual({
      calls: { get: 1, set: 1, touch: 1, error: 1 },
      uncaught: 4,
      rejections: 0,
      alive: true,
    });
  });
});

describe("ExpressSessionStore beside connect-pg-simple, on one table", () => {
  it("goes on with their sessions, and they with pgstore's", async () => {
    const [old, drop] = await Promise.all([serve(application(openTheirs())), serve(application(open()))]);
    const made = { old: cookieOf(await old.get("/login")) ?? "", drop: cookieOf(await drop.get("/login")) ?? "" };
    for (const alice of Object.values(made)) {
      const numbers = [];
      for (const { get } of [old, drop, drop, old]) numbers.push(await (await get("/count", alice)).text());
      expect(numbers).toEqual([1, 2, 3, 4].map((n) => `alice ${n}`));
    }
    await drop.get("/logout", made.old);
    await old.get("/logout", made.drop);
    for (const alice of Object.values(made)) {
      for (const { get } of [old, drop]) expect(await (await get("/whoami", alice)).text()).toBe("undefined");
    }
    await Promise.all([old.close(), drop.close()]);
  });

  it("leaves tombstones that they take for no session, even after their touch", async () => {
    const [store, theirs] = [open(), openTheirs()];
    const cookie = { expires: new Date(Date.now() + 60_000), originalMaxAge: 60_000 };
    await store.set("dead", { cookie, user: "alice" } as never);
    await store.destroy("dead");
    const read = (): Promise<unknown> =>
      new Promise((resolve, reject) => theirs.get("dead", (error, found) => (error ? reject(error) : resolve(found))));
    expect(await read()).toBeFalsy();
    await new Promise<void>((resolve) => theirs.touch?.("dead", { cookie } as session.SessionData, () => resolve()));
    expect(await read()).toBeFalsy();
    expect(await store.get("dead")).toBeUndefined();
    expect((await store.all()).length).toBe(await store.length());
    await store.set("dead", { cookie, user: "alice" } as never);
    expect(await store.get("dead")).toBeUndefined();
  });

  it("agrees with them about the end, in whatever time zone the connections are", async () => {
    const zoned = database.pool({ options: "-c timezone=Asia/Kathmandu" });
    const store = new ExpressSessionStore({ pool: zoned, layout: ours, cleanupInterval: 0 });
    stores.push(store);
    const theirs = new (connectPgSimple(session))({ pool: zoned, pruneSessionInterval: false });
    const expires = new Date(Date.now() + 61_500);
    await store.set("zoned", { cookie: { expires } });
    const found = await new Promise((resolve) => theirs.get("zoned", (_error, session) => resolve(session)));
    expect(found).toBeTruthy();
    expect((await store.get("zoned"))?.cookie.expires).toEqual(expires);
    await zoned.query("UPDATE session SET expire = current_timestamp - interval '1 s' WHERE sid = 'zoned'");
    expect(await store.get("zoned")).toBeUndefined();
  });

  it("removes what has expired, and tombstones once their time is over", async () => {
    await pool.query("DELETE FROM session");
    const store = new ExpressSessionStore({ pool, layout: ours, cleanupInterval: 20, endedGrace: "1h" });
    stores.push(store);
    await Promise.all(["live", "gone", "ended", "long ago"].map((sid) => store.set(sid, { cookie: {} })));
    await Promise.all(["ended", "long ago"].map((sid) => store.destroy(sid)));
    await pool.query(
      "UPDATE session SET expire = current_timestamp - interval '2 h' WHERE sid IN ('gone', 'long ago')",
    );
    const left = async (): Promise<unknown> => (await pool.query("SELECT sid FROM session ORDER BY sid")).rows;
    await expect.poll(left).toEqual([{ sid: "ended" }, { sid: "live" }]);
  });
});

describe("ExpressSessionStore in @fastify/session", () => {
  it("serves log in, read, write and log out", async () => {
    const app = createFastify();
    await app.register(cookie);
    await app.register(fastifySession, {
      secret,
      store: open(),
      saveUninitialized: false,
      cookie: { secure: false, maxAge: 3_600_000 },
    });
    app.get("/login", async (request) => {
      await request.session.regenerate();
      request.session.user = "alice";
      return "hello";
    });
    app.get("/count", async (request) => {
      request.session.count = (request.session.count ?? 0) + 1;
      return `${request.session.user} ${request.session.count}`;
    });
    app.get("/logout", async (request) => {
      await request.session.destroy();
      return "bye";
    });
    const visit = async (url: string, alice = ""): Promise<{ text: string; set: string | undefined }> => {
      const answer = await app.inject({ url, headers: { cookie: alice } });
      expect(answer.statusCode).toBe(200);
      const [set] = answer.cookies;
      return { text: answer.body, set: set && `${set.name}=${set.value}` };
    };
    const alice = (await visit("/login")).set ?? "";
    expect((await visit("/count", alice)).text).toBe("alice 1");
    expect((await visit("/count", alice)).text).toBe("alice 2");
    await visit("/logout", alice);
    expect((await visit("/count", alice)).text).toBe("undefined 1");
    await app.close();
  });
});
