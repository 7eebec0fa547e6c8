import { setImmediate } from "node:timers/promises";
import type { PGlite } from "@electric-sql/pglite";
import { parseSetCookie, stringifySetCookie } from "cookie";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CookieJar, openSession, withSession } from "../../src/cookies.ts";
import {
  AlreadyCommittedError,
  MemoryStore,
  PgStore,
  SessionManager,
  type SessionOptions,
  StoreUnavailableError,
} from "../../src/index.ts";
import { Gate } from "../support/barrier.ts";
import { JarBrowser, JARS } from "../support/cookie-jars.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { GatedStore } from "../support/gated-store.ts";
import { openPglite } from "../support/pglite.ts";

interface Data {
  basket: number;
  note: string;
}

let database: TestDatabase;
let lite: PGlite;
const stores: Record<string, PgStore> = {};
beforeAll(async () => {
  database = await createDatabase();
  lite = await openPglite();
  stores["PostgreSQL"] = new PgStore(database.pool(), { cleanupInterval: 0 });
  stores["PGlite"] = new PgStore(lite, { cleanupInterval: 0 });
  await stores["PGlite"].migrate();
});
afterAll(async () => {
  await lite.close();
  await database.drop();
});

const managerOn = (name: string, options: SessionOptions = {}): SessionManager<Data> =>
  new SessionManager<Data>(stores[name] ?? new MemoryStore({ cleanupInterval: 0 }), options);

const make = JARS["SvelteKit"] ?? (() => expect.fail());
const down = new StoreUnavailableError("expected by the test");

/** As SvelteKit's, it is no Error. */
class Redirect {
  readonly status = 303;
}

for (const [name, makeJar] of Object.entries(JARS)) {
  for (const store of name === "h3" ? ["PostgreSQL", "PGlite"] : ["PostgreSQL"]) {
    describe(`openSession with a jar like that of ${name} on ${store}`, () => {
      it("stores what is saved, once and again, and tells nothing when there is nothing to tell", async () => {
        const manager = managerOn(store);
        const browser = new JarBrowser(makeJar);
        const first = await browser.request(async (jar) => {
          const session = await openSession(manager, jar);
          expect([session.status, session.size]).toEqual(["new", 0]);
          session.set("basket", 1);
          await session.save();
          session.set("note", "later");
          await session.save();
        });
        expect(first).toEqual([`session=${browser.value()}; Path=/; HttpOnly; Secure; SameSite=Lax`]);
        const second = await browser.request(async (jar) => {
          const session = await openSession(manager, jar);
          expect([session.get("basket"), session.get("note")]).toEqual([1, "later"]);
          session.update("basket", (count = 0) => count + 1);
          await session.save();
        });
        expect(second).toEqual([]);
        expect((await manager.load(browser.value())).get("basket")).toBe(2);
      });

      it("tells of a login and a log-out at once, and ends the old tokens", async () => {
        const manager = managerOn(store);
        const browser = new JarBrowser(makeJar);
        await browser.request((jar) => withSession(manager, jar, (session) => void session.set("basket", 1)));
        const anonymous = browser.value();
        await browser.request(async (jar) => (await openSession(manager, jar)).login("ada"));
        const token = browser.value();
        expect(token).not.toBe(anonymous);
        expect((await manager.load(anonymous)).size).toBe(0);
        const session = await manager.load(token);
        expect([session.userId, session.get("basket")]).toEqual(["ada", 1]);
        const cleared = await browser.request(async (jar) => (await openSession(manager, jar)).logout());
        expect(cleared).toEqual([
          "session=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; HttpOnly; Secure; SameSite=Lax",
        ]);
        expect([browser.value(), (await manager.load(token)).userId]).toEqual([undefined, undefined]);
      });

      it("stores the login of a visitor without a session at once", async () => {
        const manager = managerOn(store);
        const browser = new JarBrowser(makeJar);
        await browser.request(async (jar) => (await openSession(manager, jar)).login("bob", { remember: "30d" }));
        expect((await manager.load(browser.value())).userId).toBe("bob");
        expect(await manager.listByUser("bob")).toHaveLength(1);
        await manager.destroyByUser("bob");
      });

      it("sees within a request what the request has set before, if the jar shows it", async () => {
        const manager = managerOn(store);
        const browser = new JarBrowser(makeJar);
        await browser.request((jar) => withSession(manager, jar, (session) => void session.set("basket", 1)));
        await browser.request(async (jar, request) => {
          await (await openSession(manager, jar, { request })).login("carol");
          // The functions of h3 show what the client has sent, whose token is over.
          expect((await openSession(manager, jar, { request })).userId).toBe(name === "h3" ? undefined : "carol");
          await (await openSession(manager, jar, { request })).logout();
          expect((await openSession(manager, jar, { request })).userId).toBe(undefined);
        });
      });

      it("removes the cookie from its earlier scopes, as far as the jar can", async () => {
        const cookie = { domain: "example.org", previous: [{}, { path: "/app" }] };
        const manager = managerOn(store, { cookie });
        const browser = new JarBrowser(makeJar);
        const headers = await browser.request((jar) => withSession(manager, jar, (session) => session.login("dave")));
        expect(headers.at(-1)).toMatch(/^session=[\w-]{43}; Domain=example\.org; Path=\//);
        const isKeyedByScope = name === "SvelteKit" || name === "h3";
        expect(headers.slice(0, -1)).toHaveLength(isKeyedByScope ? 2 : 0);
        for (const header of headers.slice(0, -1)) expect(header).toMatch(/^session=; Max-Age=0; Path=/);
      });
    });
  }
}

describe("openSession", () => {
  it("makes no query for a jar without the cookie or with another text", async () => {
    const store = new GatedStore();
    const manager = new SessionManager<Data>(store);
    for (const value of [undefined, null, "", "x", { value: "y" }, "'; session=1"]) {
      const jar: CookieJar = { get: () => value, set: () => expect.fail() };
      const session = await openSession(manager, jar);
      expect(session.size).toBe(0);
      await session.save();
    }
    expect([store.finds, store.writes]).toEqual([0, 0]);
  });

  it("counts no session of a request with two live ones, which only the request's headers show", async () => {
    const manager = managerOn("PostgreSQL");
    const [mine, planted] = [await manager.load(), await manager.load()];
    await mine.login("ada");
    await planted.login("mallory");
    for (const session of [mine, planted]) await manager.commit(session);
    const browser = new JarBrowser(make);
    browser.plant(`session=${planted.token}; Path=/app; Secure`);
    browser.plant(`session=${mine.token}; Path=/; Secure`);
    await browser.request(async (jar, request) => {
      expect((await openSession(manager, jar)).userId).toBe("mallory");
      expect((await openSession(manager, jar, { request })).userId).toBe(undefined);
    });
    // Jars decode this value, which no header counts as a token.
    const encoded = `%${planted.token?.charCodeAt(0).toString(16)}${planted.token?.slice(1)}`;
    for (const order of [0, 1]) {
      const pairs = [`session=${encoded}`, `session=${mine.token}`];
      const header = [...(order === 0 ? pairs : pairs.toReversed()), "other=%zz"].join("; ");
      const request = { headers: new Headers({ cookie: header }) };
      for (const shown of [planted.token, mine.token]) {
        const jar: CookieJar = { get: () => shown, set: () => {} };
        expect((await openSession(manager, jar, { request })).userId).toBe("ada");
      }
    }
    browser.plant("session=garbage; Path=/app; Secure");
    await browser.request(async (jar, request) => {
      expect((await openSession(manager, jar)).userId).toBe(undefined);
      expect((await openSession(manager, jar, { request })).userId).toBe("ada");
    });
  });

  it("sets Secure by what is known of the connection", async () => {
    const secure = async (
      options: Parameters<typeof openSession>[2],
      settings: SessionOptions = {},
    ): Promise<boolean> => {
      const set: boolean[] = [];
      const jar: CookieJar = { get: () => undefined, set: (_name, _value, attributes) => set.push(attributes.secure) };
      const session = await openSession(managerOn("memory", settings), jar, options);
      session.set("basket", 1);
      await session.save();
      return set[0] ?? expect.fail();
    };
    const request = (url: string, proto?: string) =>
      new Request(url, { headers: proto === undefined ? {} : { "x-forwarded-proto": proto } });
    expect(await secure({})).toBe(true);
    expect(await secure({ request: { headers: new Headers() } })).toBe(true);
    expect(await secure({ request: request("http://example.org") })).toBe(false);
    expect(await secure({ request: request("https://example.org") })).toBe(true);
    expect(await secure({ request: request("http://example.org", "https") }, { trustProxy: true })).toBe(true);
    expect(await secure({ request: request("https://example.org"), tls: false })).toBe(false);
    expect(await secure({ tls: false }, { cookie: { prefix: "__Host-" } })).toBe(true);
  });

  it("leaves the latest token in a jar that takes its time", async () => {
    const manager = managerOn("memory");
    const slow = new Gate();
    const seen: string[] = [];
    const jar: CookieJar = {
      get: () => undefined,
      set: async (_name, value) => {
        if (seen.push(value) === 1) await slow.wait();
        shown = value;
      },
    };
    let shown = "";
    const session = await openSession(manager, jar);
    const first = session.login("ada");
    const second = session.login("ada");
    // The second login has been stored when the first one's token is no longer live.
    while (seen[0] === undefined || (await manager.load(seen[0])).userId !== undefined) await setImmediate();
    await setImmediate();
    slow.open();
    await Promise.all([first, second]);
    expect((await manager.load(shown)).userId).toBe("ada");
  });

  it("records where a login came from", async () => {
    const manager = managerOn("PostgreSQL", { recordIp: true, recordUserAgent: true, trustProxy: true });
    const headers = new Headers({ "user-agent": "browser", "x-forwarded-for": "9.9.9.9, 192.0.2.1" });
    const jar: CookieJar = { get: () => undefined, set: () => {} };
    await (await openSession(manager, jar, { request: { headers } })).login("erin");
    await (await openSession(manager, jar, { ip: "192.0.2.2" })).login("erin");
    const listed = await manager.listByUser("erin");
    // Two logins in one millisecond have no order.
    expect(listed.toSorted((a, b) => String(a.ip).localeCompare(String(b.ip)))).toMatchObject([
      { ip: "192.0.2.1", userAgent: "browser" },
      { ip: "192.0.2.2", userAgent: undefined },
    ]);
  });

  it("lets a jar refuse a later expiry of the token that the client has, and nothing else", async () => {
    let time = 0;
    const store = new GatedStore(() => Date.now() + time);
    const manager = new SessionManager<Data>(store, { idleTimeout: "1h", cookie: { persist: true } });
    const given = await manager.load();
    given.set("basket", 1);
    await manager.commit(given);
    const refusal = new Error("cookies can only be modified in an action");
    let isReadOnly = true;
    const told: string[] = [];
    const jar: CookieJar = {
      get: () => given.token,
      set: (_name, value) => {
        if (isReadOnly) throw refusal;
        told.push(value);
      },
    };
    time = 1_800_000;
    const before = store.writes;
    await (await openSession(manager, jar)).save();
    expect(store.writes).toBe(before + 1);
    const session = await openSession(manager, jar);
    await expect(session.renewToken()).rejects.toBe(refusal);
    isReadOnly = false;
    await session.save();
    expect(told).toEqual([session.token]);
  });

  it("forgets a login that could not be stored, and keeps the other changes", async () => {
    const store = new GatedStore();
    const manager = new SessionManager<Data>(store);
    const browser = new JarBrowser(make);
    await browser.request(async (jar) => {
      const session = await openSession(manager, jar);
      session.set("basket", 1);
      store.failure = down;
      await expect(session.login("ada")).rejects.toBe(down);
      store.failure = undefined;
      await session.save();
    });
    const session = await manager.load(browser.value());
    expect([session.userId, session.get("basket")]).toEqual([undefined, 1]);
  });

  it("sets no cookie of an earlier change once the jar has taken a later one", async () => {
    const manager = managerOn("memory");
    const refusal = new Error("expected by the test");
    let isReadOnly = true;
    const told: string[] = [];
    const jar: CookieJar = {
      get: () => undefined,
      set: (_name, value) => {
        if (isReadOnly) throw refusal;
        told.push(value);
      },
    };
    const session = await openSession(manager, jar);
    session.set("basket", 1);
    await expect(session.save()).rejects.toBe(refusal);
    isReadOnly = false;
    for (let saves = 0; saves < 2; saves++) await session.save();
    expect(told).toEqual([session.token]);
  });

  it("refuses what it can't work with", async () => {
    const manager = managerOn("memory");
    const jar: CookieJar = { get: () => undefined, set: () => {} };
    const wrong: [SessionManager<Data>, unknown, object, string][] = [
      [manager, {}, {}, "openSession: jar: expected an object with get and set, got an object"],
      [manager, undefined, {}, "openSession: jar: expected an object with get and set, got undefined"],
      [manager, jar, { ips: "1" }, "openSession: ips: there is no such option, expected request, ip, tls"],
      [
        manager,
        jar,
        { request: {} },
        "openSession: request: expected a Request, or an object with its headers, got an object",
      ],
      [manager, jar, { tls: "yes" }, 'openSession: tls: expected a boolean, got "yes"'],
      [
        managerOn("memory", { transport: "header" }),
        jar,
        {},
        'openSession: the manager\'s transport is "header", but a jar has cookies only',
      ],
    ];
    for (const [given, jarLike, options, message] of wrong) {
      await expect(openSession(given, jarLike as CookieJar, options)).rejects.toThrow(new TypeError(message));
    }
  });
});

describe("withSession", () => {
  it("commits when its function returns, and when it throws", async () => {
    const manager = managerOn("PostgreSQL");
    for (const thrown of [undefined, new Redirect(), new Error("expected by the test")]) {
      const browser = new JarBrowser(make);
      const asked = browser.request(async (jar) => {
        const result = await withSession(manager, jar, async (session) => {
          session.set("basket", 1);
          if (thrown !== undefined) throw thrown;
          return "done";
        });
        expect(result).toBe("done");
      });
      if (thrown === undefined) await asked;
      else await expect(asked).rejects.toBe(thrown);
      expect((await manager.load(browser.value())).get("basket")).toBe(1);
    }
  });

  it("lets no answer overtake a save that failed, and hides no error of its function", async () => {
    const store = new GatedStore();
    const manager = new SessionManager<Data>(store);
    const mistake = new Error("expected by the test");
    const redirect = Object.assign(new Error("NEXT_REDIRECT"), { digest: "NEXT_REDIRECT;push;/;307;" });
    for (const [thrown, expected] of [
      [new Redirect(), down],
      [redirect, down],
      [mistake, mistake],
    ] as const) {
      const asked = new JarBrowser(make).request((jar) =>
        withSession(manager, jar, async (session) => {
          session.set("basket", 1);
          store.failure = down;
          throw thrown;
        }),
      );
      await expect(asked).rejects.toBe(expected);
      store.failure = undefined;
    }
  });

  it("makes changes throw once its function has returned", async () => {
    const manager = managerOn("memory");
    await new JarBrowser(make).request(async (jar) => {
      const session = await withSession(manager, jar, (opened) => opened);
      expect(() => session.set("basket", 1)).toThrow(AlreadyCommittedError);
      await expect(session.login("ada")).rejects.toThrow("at the end of the function that it was opened for");
    });
  });

  it("keeps the steps of parallel requests", async () => {
    const manager = managerOn("PostgreSQL");
    const browser = new JarBrowser(make);
    const count = (): Promise<string[]> =>
      browser.request((jar) => withSession(manager, jar, (session) => session.update("basket", (n = 0) => n + 1)));
    await count();
    await Promise.all(Array.from({ length: 20 }, count));
    expect((await manager.load(browser.value())).get("basket")).toBe(21);
  });
});

describe("CommitResult.cookie", () => {
  const flag = fc.boolean();
  const settings = fc.record({
    name: fc.constantFrom("session", "a.b"),
    path: fc.constantFrom("", "/", "/in side"),
    domain: fc.constantFrom(undefined, "example.org", ".example.org"),
    httpOnly: flag,
    sameSite: fc.constantFrom<("lax" | "strict" | "none" | false)[]>("lax", "strict", "none", false),
    partitioned: flag,
    persist: flag,
    previous: fc.constantFrom([], [{ path: "/before" }]),
  });

  it("says what the header says, for every cookie that is set or cleared", async () => {
    await fc.assert(
      fc.asyncProperty(settings, flag, flag, async (cookie, tls, ends) => {
        const manager = managerOn("memory", { cookie, idleTimeout: "1h" });
        const session = await manager.load();
        session.set("basket", 1);
        await manager.commit(session, { tls });
        if (ends) await session.destroy();
        else await session.renewToken();
        const result = await manager.commit(session, { tls });
        const given = [...result.clearingCookies, result.cookie ?? expect.fail()];
        expect(given.map(({ value }) => value)).toEqual(
          given.map((_, at) => (at < given.length - 1 || ends ? "" : session.token)),
        );
        // As frameworks write it, and read again as a browser does.
        const written = given.map(({ name, value, options }) => stringifySetCookie({ name, value, ...options }));
        const headers = [...result.clearing, result.setCookie ?? ""];
        expect(written.map((text) => parseSetCookie(text))).toEqual(headers.map((text) => parseSetCookie(text)));
      }),
      { numRuns: 100 },
    );
  });

  it("is absent when there is nothing to tell, and when the token has a header of its own", async () => {
    for (const options of [{}, { transport: "header" }] as const) {
      const manager = managerOn("memory", options);
      const session = await manager.load();
      if (options.transport !== undefined) session.set("basket", 1);
      const result = await manager.commit(session);
      expect([result.cookie, result.clearingCookies]).toEqual([undefined, []]);
    }
  });
});
