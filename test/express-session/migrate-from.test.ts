import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import cookie from "@fastify/cookie";
import fastifySession from "@fastify/session";
import connectPgSimple from "connect-pg-simple";
import express from "express";
import session from "express-session";
import createFastify from "fastify";
import { Passport } from "passport";
import { Strategy } from "passport-local";
import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { ExpressSessionStore } from "../../src/express-session.ts";
import { MemoryStore, PgStore, type Session, SessionManager, type SessionOptions } from "../../src/index.ts";
import type { ExpressSessionSource } from "../../src/lib/adapters/migration.ts";
import { connect, type NodeListener } from "../../src/node.ts";
import { barrier } from "../support/barrier.ts";
import { connectPgSimpleTable } from "../support/connect-pg-simple.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { serving } from "../support/serve.ts";

type Data = Record<string, unknown>;

const secret = "a secret of more than thirty-two characters";
let database: TestDatabase;
let pool: pg.Pool;
let old: session.Store;

beforeAll(async () => {
  database = await createDatabase();
  pool = database.pool();
  for (const sql of connectPgSimpleTable('"session"')) await database.admin({ max: 1 }).query(sql);
  old = new (connectPgSimple(session))({ pool, pruneSessionInterval: false });
});
afterAll(() => database.drop());
beforeEach(async () => {
  await pool.query("DELETE FROM session");
  await pool.query("DELETE FROM sessions");
});

function newPassport(): InstanceType<typeof Passport> {
  const passport = new Passport();
  passport.use(new Strategy((name, _password, done) => done(null, { id: `u-${name}` })));
  passport.serializeUser((user, done) => done(null, (user as { id: string }).id));
  passport.deserializeUser((id, done) => done(null, { id: String(id) }));
  return passport;
}

/** The application before: /login, /me. */
function before(options: Partial<session.SessionOptions> = {}): NodeListener {
  const passport = newPassport();
  const app = express();
  app.use(session({ store: old, secret, resave: false, saveUninitialized: false, ...options }));
  app.use(passport.session());
  app.get("/login", passport.authenticate("local") as never, (req, res) => {
    Object.assign(req.session, { cart: ["book"], __userId: "mallory" });
    res.send("in");
  });
  app.get("/me", (req, res) => void res.json((req.user as { id: string } | undefined)?.id ?? null));
  return app;
}

/** The application afterwards: /me, /logout, /renew. */
function afterwards(manager: SessionManager<Data>, source: Partial<ExpressSessionSource> = {}): NodeListener {
  const passport = newPassport();
  const app = express();
  const expressSession = { secret, store: old, ...source };
  app.use(connect(manager, { passport: true, migrateFrom: { expressSession } }), passport.session() as never);
  const sessionOf = (req: express.Request): Session<Data> => manager.sessionOf(req);
  app.get("/me", (req, res) => {
    const { userId = null } = sessionOf(req);
    res.json([(req.user as { id: string } | undefined)?.id ?? null, userId, sessionOf(req).get("cart") ?? null]);
  });
  app.get("/write", (req, res) => void (sessionOf(req).set("written", true), res.send("written")));
  app.get("/renew", async (req, res) => void (await sessionOf(req).renewToken(), res.send("renewed")));
  app.get("/logout", async (req, res) => void (await sessionOf(req).logout(), res.send("out")));
  const errorPage: express.ErrorRequestHandler = (error, _req, res, _next) => void res.status(500).send(String(error));
  app.use(errorPage);
  return app;
}

const onPostgres = (options?: SessionOptions): SessionManager<Data> =>
  new SessionManager<Data>(new PgStore(database.pool(), { cleanupInterval: 0 }), options);

/** Logs in with the old application, and returns its cookie. */
async function oldLogin(options?: Partial<session.SessionOptions>): Promise<string> {
  return serving(before(options), async ({ get }) => {
    const [set = ""] = (await get("/login?username=ada&password=x")).headers.getSetCookie();
    expect(set).toContain(`${options?.name ?? "connect.sid"}=s%3A`);
    return set.split(";", 1)[0] ?? "";
  });
}

/** The cookies that an answer sets, without their values, and the session's. */
function told(response: Response): { removed: string[]; cookie: string | undefined; text: string[] } {
  const text = response.headers.getSetCookie();
  const removed = text.filter((one) => one.includes("Max-Age=0")).map((one) => one.split("=", 1)[0] ?? "");
  const cookie = text.find((one) => one.startsWith("session=") && !one.includes("Max-Age=0"))?.split(";", 1)[0];
  return { removed, cookie, text };
}

/** Signs as the package cookie-signature does. */
function sign(value: string, key: string): string {
  return `${value}.${createHmac("sha256", key).update(value).digest("base64").replace(/=+$/, "")}`;
}

const ADA = ["u-ada", "u-ada", ["book"]];
const NOBODY = [null, null, null];
const countOf = async (table: string): Promise<number> =>
  (await pool.query(`SELECT FROM ${table} WHERE ${table === "session" ? "expire" : "expiry"} > now()`)).rowCount ?? 0;

describe("migrateFrom", () => {
  it("keeps a user of express-session logged in, once, and ends the old session", async () => {
    const manager = onPostgres();
    const theirs = await oldLogin();
    await serving(afterwards(manager), async ({ get }) => {
      const first = await get("/me", theirs);
      expect(await first.json()).toEqual(ADA);
      const { removed, cookie, text } = told(first);
      expect(removed).toEqual(["connect.sid"]);
      expect(text.join()).not.toMatch(/Expires=(?!Thu, 01 Jan 1970)/);
      expect(await (await get("/me", cookie)).json()).toEqual(ADA);
      expect(told(await get("/me", `${cookie}; ${theirs}`)).text).toEqual([]);
      expect([await countOf("session"), await countOf("sessions")]).toEqual([0, 1]);
      const [listed] = await manager.listByUser("u-ada");
      expect(listed?.id).toBe((await manager.load(cookie?.split("=")[1])).id);
      const session = await manager.load(cookie?.split("=")[1]);
      expect([session.keys(), session.loggedInAt]).toEqual([["cart", "passport"], undefined]);
      expect(() => session.requireFresh("1h")).toThrow(expect.objectContaining({ status: 403 }) as Error);
    });
    await serving(before(), async ({ get }) => expect(await (await get("/me", theirs)).json()).toBe(null));
  });

  it("gives parallel requests of two processes the same session", async () => {
    const [one, other] = [onPostgres(), onPostgres()];
    const theirs = await oldLogin();
    // All have looked for the new session before any has it.
    const together = barrier(8);
    const get = ((sid: string, callback: (error: unknown, found?: session.SessionData | null) => void) => {
      void together().then(() => old.get(sid, callback));
    }) as session.Store["get"];
    const source = { store: { get, destroy: old.destroy.bind(old) } };
    await serving(afterwards(one, source), async (first) => {
      await serving(afterwards(other, source), async (second) => {
        const answers = await Promise.all(
          Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? first : second).get("/me", theirs)),
        );
        for (const answer of answers) expect(await answer.json()).toEqual(ADA);
        expect(new Set(answers.map((answer) => told(answer).cookie)).size).toBe(1);
      });
    });
    expect([await countOf("session"), await countOf("sessions")]).toEqual([0, 1]);
  });

  it("never brings the user back after a log-out, even if the old session could not be destroyed", async () => {
    const manager = onPostgres();
    const theirs = await oldLogin();
    let isBroken = true;
    const destroy = ((sid: string, callback: (error?: unknown) => void) => {
      if (isBroken) callback(new Error("expected by the test"));
      else old.destroy(sid, callback);
    }) as session.Store["destroy"];
    await serving(afterwards(manager, { store: { get: old.get.bind(old), destroy } }), async ({ get }) => {
      vi.spyOn(console, "error").mockImplementation(() => {});
      expect((await get("/me", theirs)).status).toBe(500);
      isBroken = false;
      const { cookie } = told(await get("/me", theirs));
      expect(await (await get("/me", cookie)).json()).toEqual(ADA);
      expect(told(await get("/logout", cookie)).removed).toEqual(["session"]);
      for (const cookies of [theirs, `${theirs}; ${cookie}`]) {
        const replayed = await get("/me", cookies);
        expect([await replayed.json(), told(replayed).text]).toEqual([NOBODY, []]);
      }
      expect([await countOf("session"), await countOf("sessions")]).toEqual([0, 0]);
    });
  });

  it("lets a late request with the old cookie alone change nothing after the token was renewed", async () => {
    const manager = onPostgres();
    const theirs = await oldLogin();
    await serving(afterwards(manager), async ({ get }) => {
      const { cookie } = told(await get("/me", theirs));
      const renewed = told(await get("/renew", cookie)).cookie;
      const late = await get("/write", theirs);
      expect([late.status, told(late).text]).toEqual([200, []]);
      expect(await (await get("/me", renewed)).json()).toEqual(ADA);
      expect(await countOf("sessions")).toBe(1);
    });
  });

  it.each(["/renew", "/logout"])("tells no request that began before %s the token that it has ended", async (path) => {
    const theirs = await oldLogin();
    let begun = (): void => {};
    const isBegun = new Promise<void>((resolve) => (begun = resolve));
    let end = (): void => {};
    const mayEnd = new Promise<void>((resolve) => (end = resolve));
    const app = express().use(
      connect(onPostgres(), { migrateFrom: { expressSession: { secret, store: old } } }),
      async (_req, res) => {
        begun();
        await mayEnd;
        res.send("slow");
      },
    );
    await serving(app, async (slow) => {
      await serving(afterwards(onPostgres()), async ({ get }) => {
        const late = slow.get("/", theirs);
        await isBegun;
        const { cookie = "" } = told(await get(path, theirs));
        end();
        expect(told(await late).text).toEqual([]);
        expect(await (await get("/me", cookie)).json()).toEqual(path === "/renew" ? ADA : NOBODY);
      });
    });
  });

  it("logs out by the old cookie at the first request", async () => {
    const manager = onPostgres();
    const theirs = await oldLogin();
    await serving(afterwards(manager), async ({ get }) => {
      const out = await get("/logout", theirs);
      expect(told(out).removed).toEqual(["connect.sid", "session"]);
      expect(await (await get("/me", theirs)).json()).toEqual(NOBODY);
      expect([await countOf("session"), await countOf("sessions")]).toEqual([0, 0]);
    });
  });

  it("asks neither store for cookies that the secrets have not signed", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const find = vi.spyOn(store, "find");
    const get = vi.fn<session.Store["get"]>();
    const source = { store: { get, destroy: old.destroy.bind(old) } };
    const sid = "a".repeat(32);
    const forged = [
      `s:${sign(sid, "another secret")}`,
      `s:${sign(sid, secret)}x`,
      `s:${sid}`,
      `s:.${sign("", secret).slice(1)}`,
      sid,
      "s:",
      "%E0%A4%A",
      "",
    ];
    await serving(afterwards(new SessionManager<Data>(store), source), async (served) => {
      for (const value of forged) {
        const answer = await served.get(
          "/me",
          `connect.sid=${value.startsWith("%") ? value : encodeURIComponent(value)}`,
        );
        expect([await answer.json(), told(answer).text], value).toEqual([NOBODY, []]);
      }
    });
    expect([find.mock.calls, get.mock.calls]).toEqual([[], []]);
  });

  it("accepts each of several secrets, other names and stores, and keeps a cookie that outlives the browser", async () => {
    const options = { name: "sid", secret: "the secret before", cookie: { maxAge: 3_600_000, domain: "127.0.0.1" } };
    const theirs = await oldLogin(options);
    const store = new ExpressSessionStore({ pool, layout: "connect-pg-simple", cleanupInterval: 0 });
    const source = { store, name: "sid", domain: "example.com", secret: [secret, Buffer.from(options.secret)] };
    const manager = onPostgres({ idleTimeout: "20m" });
    await serving(afterwards(manager, source), async ({ get }) => {
      const first = await get("/me", theirs);
      expect(await first.json()).toEqual(ADA);
      const { text, removed, cookie } = told(first);
      expect(removed).toEqual(["sid"]);
      expect(text.find((one) => one.startsWith("sid="))).toContain("Domain=example.com");
      // As long as the session is idle, and not longer.
      expect(text.find((one) => one.startsWith("session="))).toContain("Max-Age=1200;");
      expect(await (await get("/me", cookie)).json()).toEqual(ADA);
    });
    await store.close();
  });

  it("continues sessions of @fastify/session, whose cookies have no s:", async () => {
    const fastify = createFastify();
    await fastify.register(cookie);
    const theirStore = new ExpressSessionStore({ store: new MemoryStore({ cleanupInterval: 0 }) });
    await fastify.register(fastifySession, { secret, store: theirStore, cookie: { secure: false } });
    fastify.get("/", async (request) => {
      request.session.set("cart" as never, ["book"] as never);
      return "set";
    });
    const set = (await fastify.inject("/")).headers["set-cookie"] as string;
    const source = { store: theirStore, name: "sessionId", userOf: () => 7 };
    await serving(afterwards(onPostgres(), source), async ({ get }) => {
      expect(await (await get("/me", set.split(";", 1)[0])).json()).toEqual([null, "7", ["book"]]);
    });
  });

  it("goes on without a user whom it can't name, and fails aloud when the old store does", async () => {
    const sid = "b".repeat(32);
    const theirs = `connect.sid=s:${sign(sid, secret)}`;
    const store = {
      get: (_sid: string, callback: (error: unknown, found?: unknown) => void) =>
        callback(null, { cookie: {}, cart: ["book"], passport: { user: {} } }),
      destroy: (_sid: string, callback?: (error?: unknown) => void) => callback?.(),
    };
    await serving(afterwards(onPostgres(), { store, userOf: () => undefined }), async ({ get }) => {
      expect((await (await get("/me", theirs)).json()) as unknown[]).toEqual(["[object Object]", null, ["book"]]);
    });
    const broken = { ...store, get: (_sid: string, callback: (error: unknown) => void) => callback(new Error("down")) };
    await serving(afterwards(onPostgres(), { store: broken, secret: "another" }), async ({ get }) => {
      const answer = await get("/me", `connect.sid=s:${sign(sid, "another")}`);
      expect([answer.status, await answer.text(), told(answer).text]).toEqual([500, "Error: down", []]);
    });
  });

  /** An old store with the given sessions. */
  function holding(sessions: Record<string, object>): ExpressSessionSource["store"] & { left: () => string[] } {
    const left = new Map(Object.entries(sessions));
    return {
      get: (sid: string, callback: (error: unknown, found?: unknown) => void) => callback(null, left.get(sid)),
      destroy: (sid: string, callback?: (error?: unknown) => void) => (left.delete(sid), callback?.()),
      left: () => [...left.keys()],
    };
  }
  const theirCookie = (sid: string, prefix = "s:"): string =>
    `connect.sid=${encodeURIComponent(`${prefix}${sign(sid, secret)}`)}`;

  it("takes of several signed cookies, one of which may be planted, only the one with a session", async () => {
    const ada = { cookie: {}, cart: ["book"], passport: { user: "u-ada" } };
    const both = holding({ "planted-1": { cookie: {}, passport: { user: "u-eve" } }, "adas-1": ada });
    const manager = onPostgres();
    await serving(afterwards(manager, { store: both }), async ({ get }) => {
      const answer = await get("/me", `${theirCookie("planted-1")}; ${theirCookie("adas-1")}`);
      expect([await answer.json(), told(answer).text, both.left()]).toEqual([NOBODY, [], ["planted-1", "adas-1"]]);
      // The planted session has moved before.
      await get("/me", theirCookie("planted-1"));
      const alone = await get("/me", `${theirCookie("planted-1")}; ${theirCookie("adas-1")}`);
      expect([await alone.json(), both.left()]).toEqual([ADA, []]);
      const late = await get("/me", `${theirCookie("planted-1")}; ${theirCookie("adas-1")}`);
      expect([await late.json(), told(late).text]).toEqual([NOBODY, []]);
    });
    const twice = holding({ "adas-2": ada });
    await serving(afterwards(manager, { store: twice }), async ({ get }) => {
      const many = Array.from({ length: 4 }, (_, index) => `connect.sid=${index}`).join("; ");
      expect(await (await get("/me", `${theirCookie("adas-2")}; ${many}`)).json()).toEqual(NOBODY);
      const answer = await get("/me", `${theirCookie("adas-2")}; ${theirCookie("adas-2", "")}; ${theirCookie("gone")}`);
      expect(await answer.json()).toEqual(ADA);
    });
  });

  it("begins a session of its own where the old one is empty, which the old cookie doesn't lead to", async () => {
    const store = holding({ empty: { cookie: {} } });
    await serving(afterwards(onPostgres(), { store }), async ({ get }) => {
      const planted = theirCookie("empty");
      const { cookie } = told(await get("/write", planted));
      expect(cookie).toBeDefined();
      const replayed = await get("/me", planted);
      expect([await replayed.json(), told(replayed).text]).toEqual([NOBODY, []]);
    });
  });

  it("binds nobody to an empty name, and refuses names that a login refuses", async () => {
    const users: [user: unknown, status: number][] = [
      ["", 200],
      [Number.NaN, 200],
      ["%admin:1", 500],
      ["a\0b", 500],
    ];
    for (const [index, [user, status]] of users.entries()) {
      const sid = `named-${index}`;
      const store = holding({ [sid]: { cookie: {}, cart: ["book"] } });
      await serving(afterwards(onPostgres(), { store, userOf: () => user }), async ({ get }) => {
        const answer = await get("/me", theirCookie(sid));
        expect(answer.status).toBe(status);
        if (status === 200) expect(await answer.json()).toEqual([null, null, ["book"]]);
        else expect(store.left()).toEqual([sid]);
      });
    }
  });

  it("finds Passport's user as the option passport does, and goes on for no user whom it can't name", async () => {
    const options = { passport: { key: "login", userId: (user: { mail?: string }) => user.mail as string } };
    const app = (manager: SessionManager<Data>, store: ExpressSessionSource["store"]): NodeListener => {
      const express_ = express().use(
        connect(manager, { ...options, migrateFrom: { expressSession: { secret, store } } }),
      );
      express_.get("/me", (req, res) => void res.json(manager.sessionOf(req).userId ?? null));
      const errorPage: express.ErrorRequestHandler = (error, _req, res, _next) =>
        void res.status(500).send(String(error));
      return express_.use(errorPage);
    };
    const store = holding({
      "mail-1": { cookie: {}, login: { user: { mail: "ada@example.com" } } },
      "mail-2": { cookie: {}, login: { user: {} } },
    });
    await serving(app(onPostgres(), store), async ({ get }) => {
      expect(await (await get("/me", theirCookie("mail-1"))).json()).toBe("ada@example.com");
      expect((await get("/me", theirCookie("mail-2"))).status).toBe(500);
      expect(store.left()).toEqual(["mail-2"]);
    });
  });

  it("answers when the old store rejects and never calls back", async () => {
    const store = {
      get: async () => Promise.reject(new Error("down")),
      destroy: async () => Promise.reject(new Error("down")),
    };
    await serving(afterwards(onPostgres(), { store }), async ({ get }) => {
      const answer = await get("/me", theirCookie("rejected"));
      expect([answer.status, await answer.text()]).toEqual([500, "Error: down"]);
    });
  });

  it("gives the values that a schema refuses to onInvalid", async () => {
    const refused = {
      "~standard": { version: 1 as const, vendor: "test", validate: () => ({ issues: [{ message: "no" }] }) },
    };
    const seen: unknown[] = [];
    const store = new MemoryStore({ cleanupInterval: 0 });
    const onInvalid = (key: string, value: unknown): undefined => void seen.push([key, value]);
    const manager = new SessionManager(store, { schema: { cart: refused }, onInvalid });
    const theirs = await oldLogin();
    await serving(afterwards(manager as never), async ({ get }) => {
      expect(await (await get("/me", theirs)).json()).toEqual(["u-ada", "u-ada", null]);
    });
    expect(seen).toEqual([["cart", ["book"]]]);
  });

  it("is shown by the page about connect-pg-simple", async () => {
    const url = new URL("../../docs/migrate/from-connect-pg-simple.md", import.meta.url);
    const page = readFileSync(fileURLToPath(url), "utf8");
    const block = /<!-- example: continue -->\s*```js\n([^]*?)```/.exec(page)?.[1] ?? "";
    vi.stubEnv("SESSION_SECRET", secret);
    const manager = onPostgres();
    const app = express();
    const scope = { app, connect, manager, ExpressSessionStore, pool };
    // oxlint-disable-next-line typescript/no-implied-eval -- it is the documentation's
    new Function(...Object.keys(scope), block.replaceAll(/^import .*$/gm, ""))(...Object.values(scope));
    app.get("/", (req, res) => void res.send(manager.sessionOf(req).userId));
    const theirs = await oldLogin();
    await serving(app, async ({ get }) => expect(await (await get("/", theirs)).text()).toBe("u-ada"));
  });

  it("refuses options that make no sense, without showing a secret", () => {
    const manager = new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 }));
    const make = (migrateFrom: unknown) => () => connect(manager, { migrateFrom: migrateFrom as never });
    expect(make({})).toThrow(/^migrateFrom\.expressSession: expected an object/);
    expect(make({ expressSession: { store: old } })).toThrow(/^migrateFrom\.expressSession\.secret: expected/);
    expect(make({ expressSession: { store: old, secret: ["a secret", ""] } })).toThrow(/got "object"$/);
    expect(make({ expressSession: { secret, store: {} } })).toThrow(/store: expected a store for express-session/);
    expect(make({ expressSession: { secret, store: old, cookie: {} } })).toThrow(/cookie: there is no such option/);
  });
});
