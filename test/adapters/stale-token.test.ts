import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { CookieJar } from "tough-cookie";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PgStore, SessionManager } from "../../src/index.ts";
import { idOf } from "../../src/lib/core/token.ts";
import { nodeHandler } from "../../src/node.ts";
import { barrier } from "../support/barrier.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { cookieOf, serve, type Served } from "../support/serve.ts";

const AT_ONCE = 20;

let database: TestDatabase;
let store: PgStore;
let app: Served;
/** Holds the requests to /late until all of them have come and the login is done. */
let meet = barrier(0);

beforeAll(async () => {
  database = await createDatabase();
  const pool = database.pool();
  store = new PgStore(pool, { cleanupInterval: 0 });
  const manager = new SessionManager<Record<string, unknown>>(store, { idleTimeout: "1h", touchAfter: 0 });
  const listener = nodeHandler(manager, async (request, response) => {
    const session = manager.sessionOf(request);
    const [, action, key = ""] = (request.url ?? "").split("/");
    if (action === "set") session.set(key, true);
    if (action === "login") await session.login("alice");
    if (action === "reset") await session.reset();
    if (action === "anew") {
      await session.reset();
      session.set("anew", true);
    }
    if (action === "renewToken") await session.renewToken();
    if (action === "logout") await session.logout();
    response.end(`${session.userId} ${session.keys().join(",")} ${session.status}`);
  });
  app = await serve(async (request, response) => {
    if (request.headers["x-late"] !== undefined) await meet();
    listener(request, response);
  });
});
beforeEach(() => database.pool().query("DELETE FROM sessions"));
afterAll(async () => {
  await app.close();
  await database.drop();
});

const text = async (path: string, cookie: string): Promise<string> => (await app.get(path, cookie)).text();

describe("the token of a session that was ended a short while ago", () => {
  it("leaves a browser logged in whose parallel requests still carry it", async () => {
    for (let round = 0; round < 10; round++) {
      const jar = new CookieJar();
      const visit = async (path: string, headers: Record<string, string> = {}): Promise<string> => {
        const cookie = jar.getCookieStringSync(app.url);
        const response = await fetch(app.url + path, { headers: { ...headers, cookie } });
        for (const set of response.headers.getSetCookie()) jar.setCookieSync(set, app.url);
        return response.text();
      };
      await visit("/set/basket");
      const before = jar.getCookieStringSync(app.url);
      // Half of them load the session before the login or beside it, half of them certainly after it.
      meet = barrier(AT_ONCE / 2 + 1);
      const during = Array.from({ length: AT_ONCE / 2 }, (_, n) => visit(`/set/${n}`));
      const late = Array.from({ length: AT_ONCE / 2 }, (_, n) => visit(`/set/late${n}`, { "x-late": "1" }));
      await visit("/login");
      const after = jar.getCookieStringSync(app.url);
      expect(after).not.toBe(before);
      void meet();
      await Promise.all([...during, ...late]);
      expect(jar.getCookieStringSync(app.url)).toBe(after);
      const seen = await visit("/");
      expect(seen).toMatch(/^alice .*basket/);
      expect(seen).not.toContain("late");
    }
  });

  for (const ending of ["login", "reset", "renewToken", "logout"]) {
    it(`reads as anonymous after ${ending}, and its writes are dropped without a cookie`, async () => {
      const old = cookieOf(await app.get("/set/secret")) ?? "";
      const next = cookieOf(await app.get(`/${ending}`, old));
      const events: string[] = [];
      const listener = (event: unknown, channel: string | symbol): void =>
        void events.push(`${String(channel)} ${(event as { id: string }).id}`);
      for (const name of ["pgstore:stale", "pgstore:gone"]) subscribe(name, listener);
      const read = await app.get("/", old);
      expect(await read.text()).toBe("undefined  new");
      const written = await app.get("/set/x", old);
      await app.get("/renewToken", old);
      if (ending !== "logout") expect(await text("/", next ?? "")).not.toContain("x");
      const out = await app.get("/logout", old);
      for (const name of ["pgstore:stale", "pgstore:gone"]) unsubscribe(name, listener);
      for (const response of [read, written]) {
        expect(response.headers.getSetCookie()).toEqual([]);
        expect(response.headers.get("vary")).toBe("Cookie");
      }
      const id = idOf(old.slice("session=".length));
      expect(events.filter((event) => event === `pgstore:stale ${id}`)).toHaveLength(4);
      expect(events.filter((event) => event === `pgstore:gone ${id}`)).toHaveLength(1);
      // Whoever logs out by an old token means the session, which goes on under another.
      expect(out.headers.getSetCookie().map((cookie) => cookie.split(";", 1)[0])).toEqual(
        ending === "logout" ? [] : ["session="],
      );
      expect(await store.count()).toBe(0);
      expect(await text("/", next ?? "")).toBe("undefined  new");
    });
  }

  it("still lets its bearer log in, or begin anew by renew", async () => {
    for (const way of ["login", "anew"]) {
      const old = cookieOf(await app.get("/set/secret")) ?? "";
      await app.get("/logout", old);
      const made = cookieOf(await app.get(`/${way}`, old)) ?? "";
      expect(made).toMatch(/^session=[\w-]{43}$/);
      expect(made).not.toBe(old);
      await app.get("/set/x", made);
      expect(await text("/", made)).toBe(way === "login" ? "alice x unmodified" : "undefined anew,x unmodified");
      expect(await text("/", old)).toBe("undefined  new");
    }
  });

  it("counts as an unknown one when the grace is over, be it cleaned up or not", async () => {
    const old = cookieOf(await app.get("/set/secret")) ?? "";
    await app.get("/logout", old);
    await database.pool().query("UPDATE sessions SET expiry = expiry - interval '121 s'");
    const made = cookieOf(await app.get("/set/x", old)) ?? "";
    expect(made).not.toBe("");
    expect(made).not.toBe(old);
    expect(await store.deleteExpired()).toBe(1);
    expect(await text("/", made)).toBe("undefined x unmodified");
  });
});
