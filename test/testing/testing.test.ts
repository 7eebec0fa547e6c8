import express from "express";
import createFastify from "fastify";
import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { connect } from "../../src/express.ts";
import { session as fastifySession } from "../../src/fastify.ts";
import { session as honoSession } from "../../src/hono.ts";
import { MemoryStore, PgStore, SessionManager, type SessionOptions } from "../../src/index.ts";
import { as, cookieFor, testClock } from "../../src/testing.ts";
import { chromiumPath, startChromium } from "../support/chromium.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { serving } from "../support/serve.ts";

type Data = Record<string, unknown>;

const inMemory = (options?: SessionOptions): SessionManager<Data> =>
  new SessionManager<Data>(new MemoryStore({ cleanupInterval: 0 }), options);

/** Answers with the user and the cart. */
function application(manager: SessionManager<Data>): express.Express {
  const app = express().use(connect(manager));
  app.get("/", (request, response) => {
    const session = manager.sessionOf(request);
    response.json([session.userId, session.get("cart")]);
  });
  return app;
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

describe("cookieFor", () => {
  it("resolves to a Cookie header of a user whom the application knows, on PostgreSQL", async () => {
    const store = new PgStore(database.pool(), { cleanupInterval: 0 });
    const manager = new SessionManager<Data>(store, { cookie: { prefix: "__Host-" } });
    const cookie = await cookieFor(manager, { userId: "ada", data: { cart: ["book"] }, login: { tags: ["idp:7"] } });
    expect(cookie).toMatch(/^__Host-session=[\w-]{43}$/);
    await serving(application(manager), async ({ get }) => {
      expect(await (await get("/", cookie)).json()).toEqual(["ada", ["book"]]);
    });
    expect(await manager.listByUser("ada")).toHaveLength(1);
    expect(await manager.destroyByTag("idp:7")).toBe(1);
  });

  it("makes another session each time, also of a visitor and of a lazy manager", async () => {
    const manager = new SessionManager<Data, true>(new MemoryStore({ cleanupInterval: 0 }), { lazy: true });
    const [one, other] = [await cookieFor(manager, "ada"), await cookieFor(manager, "ada")];
    expect(one).not.toBe(other);
    const visitor = await manager.load((await cookieFor(manager, { data: { cart: 1 } })).split("=")[1]);
    expect([visitor.userId, visitor.get("cart"), visitor.loggedInAt]).toEqual([undefined, 1, undefined]);
  });

  it("refuses a session without anything, unknown options, and a manager whose tokens are in no cookie", async () => {
    const manager = inMemory();
    await expect(cookieFor(manager, {})).rejects.toThrow(/^userId, data: expected a user or a value/);
    await expect(cookieFor(manager, { data: {}, userID: "ada" } as object)).rejects.toThrow(
      /^userID: there is no such/,
    );
    await expect(cookieFor(manager, { userId: 7 } as object)).rejects.toThrow(/^userId: expected a non-empty string/);
    await expect(cookieFor(manager, { data: { f: () => {} } })).rejects.toThrow(/session key "f"/);
    await expect(cookieFor(inMemory({ transport: "header" }), "ada")).rejects.toThrow(/\.headers$/);
  });
});

describe("as", () => {
  it("has the headers and cookies that app.inject and app.request take", async () => {
    const manager = inMemory();
    const ada = await as(manager, { userId: "ada", data: { cart: 1 } });
    const fastify = createFastify();
    await fastify.register(fastifySession, { manager });
    fastify.get("/", async (request) => manager.sessionOf(request).userId);
    expect((await fastify.inject({ url: "/", headers: ada.headers })).body).toBe("ada");
    expect((await fastify.inject({ url: "/", cookies: ada.cookies })).body).toBe("ada");
    const hono = new Hono().use(honoSession(manager)).get("/", (c) => c.text(manager.sessionOf(c).userId ?? ""));
    expect(await (await hono.request("/", { headers: ada.headers })).text()).toBe("ada");
    expect(await manager.destroyById(ada.id, { userId: "ada" })).toBe(true);
    expect(await (await hono.request("/", { headers: ada.headers })).text()).toBe("");
  });

  it("can be copied for a worker, as Vitest's provide does", async () => {
    const ada = await as(inMemory(), "ada");
    const { headers, cookies, token, id } = ada;
    expect(structuredClone(ada)).toEqual({ headers, cookies, token, id });
  });

  it("has the header Authorization with the transport header", async () => {
    const manager = inMemory({ transport: "header" });
    const ada = await as(manager, "ada");
    expect([ada.headers, ada.cookies]).toEqual([{ authorization: `Bearer ${ada.token}` }, {}]);
    expect(() => ada.storageState("http://localhost")).toThrow(/^storageState: the manager has the transport "header"/);
    await serving(application(manager), async ({ url }) => {
      expect(await (await fetch(url, { headers: ada.headers })).json()).toEqual(["ada", null]);
    });
  });

  it("describes the cookie to Playwright as the manager's options have it", async () => {
    const clock = testClock(new Date("2031-01-01"));
    const store = new MemoryStore({ now: clock.now, cleanupInterval: 0 });
    const cookie = { name: "sid", domain: "example.com", sameSite: "strict", httpOnly: false } as const;
    const ada = await as(new SessionManager<Data>(store, { cookie }), { userId: "ada", login: { remember: "1h" } });
    expect(ada.storageState("https://www.example.com/deep?x").cookies).toEqual([
      {
        name: "sid",
        value: ada.token,
        domain: ".example.com",
        path: "/",
        expires: (clock.now() + 3_600_000) / 1000,
        httpOnly: false,
        secure: true,
        sameSite: "Strict",
      },
    ]);
    const plain = (await as(inMemory(), "ada")).storageState("http://localhost:3000").cookies[0];
    expect(plain).toMatchObject({ domain: "localhost", expires: -1, secure: false, sameSite: "Lax", httpOnly: true });
    expect(() => ada.storageState("localhost")).toThrow(TypeError);
  });

  const chromium = chromiumPath();
  it.skipIf(chromium === undefined)("logs a browser of Playwright in", async () => {
    const manager = inMemory();
    const ada = await as(manager, { userId: "ada", data: { cart: 7 } });
    await serving(application(manager), async ({ url }) => {
      const { browser, close } = await startChromium(chromium ?? "");
      onTestFinished(close);
      // Debian's own browser serves one context, which takes the same cookies.
      await browser.addCookies(ada.storageState(url).cookies);
      const page = await browser.newPage();
      await page.goto(url);
      expect(await page.innerText("body")).toContain('["ada",7]');
    });
  });
});

describe("testClock", () => {
  it("lets sessions expire without waiting, idle and at their deadline", async () => {
    const clock = testClock(0);
    const store = new MemoryStore({ now: clock.now, cleanupInterval: 0 });
    const manager = new SessionManager<Data>(store, { idleTimeout: "20m", lifetime: "1h" });
    const cookie = await cookieFor(manager, "ada");
    await serving(application(manager), async ({ get }) => {
      const user = async (): Promise<unknown> => ((await (await get("/", cookie)).json()) as unknown[])[0];
      for (const _ of [1, 2]) {
        clock.advance("19m");
        expect(await user()).toBe("ada");
      }
      clock.advance("21m");
      expect(await user()).toBe(null);
      clock.set(0);
      expect(await user()).toBe("ada");
      clock.set(new Date(3_600_000));
      expect(await user()).toBe(null);
    });
  });

  it("is the time of the manager, too", async () => {
    const clock = testClock(new Date("2031-01-01"));
    const manager = new SessionManager<Data>(new MemoryStore({ now: clock.now, cleanupInterval: 0 }), {
      lifetime: "1h",
    });
    const session = await manager.load();
    expect(session.deadline).toEqual(new Date("2031-01-01T01:00:00Z"));
    await session.login("ada");
    await manager.commit(session);
    expect([session.loggedInAt, session.deadline]).toEqual([new Date("2031-01-01"), new Date("2031-01-01T01:00:00Z")]);
    clock.advance("16m");
    expect(() => session.requireFresh("15m")).toThrow();
    expect(() => session.requireFresh("16m")).not.toThrow();
    const [listed] = await manager.listByUser("ada");
    expect(listed?.created).toEqual(new Date("2031-01-01"));
  });

  it("refuses times that are none", () => {
    expect(() => testClock(Number.NaN)).toThrow(/^testClock: expected a valid Date/);
    const clock = testClock();
    expect(() => clock.set(new Date("never"))).toThrow(/^set: expected a valid Date/);
    expect(() => clock.set("2031-01-01" as never)).toThrow(TypeError);
    expect(() => clock.advance("soon" as never)).toThrow(/^advance: expected a duration/);
  });
});

describe("MemoryStore", () => {
  it("goes by vi.useFakeTimers, over HTTP too when only Date is faked", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    const manager = inMemory({ idleTimeout: "20m" });
    const cookie = await cookieFor(manager, "ada");
    await serving(application(manager), async ({ get }) => {
      vi.setSystemTime(Date.now() + 19 * 60_000);
      expect(await (await get("/", cookie)).json()).toEqual(["ada", null]);
      vi.setSystemTime(Date.now() + 21 * 60_000);
      expect(await (await get("/", cookie)).json()).toEqual([null, null]);
    });
  });

  it("works under vi.useFakeTimers() with every timer faked, without HTTP", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const manager = inMemory({ idleTimeout: "20m" });
    const ada = await as(manager, "ada");
    await vi.advanceTimersByTimeAsync(21 * 60_000);
    expect((await manager.load(ada.token)).userId).toBe(undefined);
  });
});
