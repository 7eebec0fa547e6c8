import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  AlreadyCommittedError,
  LoginRequiredError,
  PgStore,
  SessionManager,
  type SessionOptions,
  StoreUnavailableError,
} from "../../src/index.ts";
import { openSession } from "../../src/cookies.ts";
import { action, getSession, sessionProxy } from "../../src/next.ts";
import { JarBrowser, JARS } from "../support/cookie-jars.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { GatedStore } from "../support/gated-store.ts";
import { duringRequest } from "../support/next-headers.ts";

interface Data {
  basket: number;
}

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createDatabase();
  pool = database.pool({ connectionTimeoutMillis: 5000 });
});
afterAll(() => database.drop());

const down = new StoreUnavailableError("expected by the test");

/** As `redirect()` and `notFound()` of Next.js throw them. */
const thrownBy = {
  redirect: () => Object.assign(new Error("NEXT_REDIRECT"), { digest: "NEXT_REDIRECT;push;/account;307;" }),
  notFound: () => Object.assign(new Error("NEXT_HTTP_ERROR_FALLBACK;404"), { digest: "NEXT_HTTP_ERROR_FALLBACK;404" }),
};

/** A browser, and requests of it in which Next.js calls the application. */
function visitor() {
  const browser = new JarBrowser(JARS["Next.js"] ?? expect.fail);
  const during = (phase: "action" | "render", work: () => unknown): Promise<string[]> =>
    browser.request(async (jar, { headers }) => {
      headers.set("x-forwarded-proto", "https");
      return duringRequest(phase, await jar, headers, work);
    });
  return {
    browser,
    acting: (work: () => unknown) => during("action", work),
    rendering: (work: () => unknown) => during("render", work),
  };
}

const managerOf = (options: SessionOptions = {}): SessionManager<Data> =>
  new SessionManager<Data>(new PgStore(pool, { cleanupInterval: 0 }), options);

describe("getSession", () => {
  it("reads for a page, as activity that extends the session without a cookie", async () => {
    const manager = managerOf({ idleTimeout: "1h", cookie: { name: "shop", persist: true } });
    const { browser, acting, rendering } = visitor();
    await acting(() => action(manager, (session) => session.login("ada"))());
    const token = browser.value("shop");
    await database
      .admin()
      .query("UPDATE sessions SET expiry = now() + interval '1 minute' WHERE expiry > now() + interval '50 minutes'");
    const told = await rendering(async () => expect((await getSession(manager)).userId).toBe("ada"));
    expect(told).toEqual([]);
    const left = await manager.expiresIn(await manager.load(token));
    expect(left).toBeGreaterThan(3_500_000);
    await manager.destroyByUser("ada");
    await rendering(async () => expect((await getSession(manager)).userId).toBe(undefined));
  });

  it("gives the components of a request one session by one query, and other requests another", async () => {
    const gated = new GatedStore();
    const manager = new SessionManager<Data>(gated);
    const { acting, rendering } = visitor();
    await acting(() => action(manager, (session) => void session.set("basket", 1))());
    gated.finds = 0;
    const seen = new Set<object>();
    await rendering(async () => {
      const [one, two] = await Promise.all([getSession(manager), getSession(manager)]);
      expect(one.get("basket")).toBe(1);
      for (const session of [one, two, await getSession(manager)]) seen.add(session);
    });
    expect([seen.size, gated.finds]).toEqual([1, 1]);
    await rendering(async () => seen.add(await getSession(manager)));
    expect([seen.size, gated.finds]).toEqual([2, 2]);
  });

  it("makes no query without a cookie", async () => {
    const gated = new GatedStore();
    await visitor().rendering(async () => expect((await getSession(new SessionManager(gated))).size).toBe(0));
    expect([gated.finds, gated.writes]).toEqual([0, 0]);
  });

  it("refuses changes outside of an action, before anything is stored", async () => {
    const manager = managerOf();
    const { browser, acting, rendering } = visitor();
    await acting(() => action(manager, (session) => session.login("bob"))());
    const token = browser.value();
    await rendering(async () => {
      const session = await getSession(manager);
      expect(() => session.set("basket", 1)).toThrow(AlreadyCommittedError);
      for (const change of [() => session.login("eve"), () => session.destroy(), () => session.save()]) {
        await expect(change()).rejects.toThrow("getSession() only reads: change it in a function wrapped by action(");
      }
    });
    expect((await manager.load(token)).userId).toBe("bob");
  });

  it("sees a cookie that the request has set since", async () => {
    const manager = managerOf();
    await visitor().acting(async () => {
      expect((await getSession(manager)).userId).toBe(undefined);
      const { cookies } = await import("../support/next-headers.ts");
      await (await openSession(manager, cookies())).login("carol");
      expect((await getSession(manager)).userId).toBe("carol");
    });
  });
});

describe("action", () => {
  it("commits before it answers, and hands on arguments and results", async () => {
    const manager = managerOf();
    const { browser, acting } = visitor();
    const add = action(manager, (session, previous: number, form: FormData) => {
      session.set("basket", previous + Number(form.get("count")));
      return session.get("basket");
    });
    const form = new FormData();
    form.set("count", "2");
    const told = await acting(async () => expect(await add(40, form)).toBe(42));
    expect(told).toEqual([`session=${browser.value()}; Path=/; HttpOnly; Secure; SameSite=Lax`]);
    expect((await manager.load(browser.value())).get("basket")).toBe(42);
    expect(await acting(() => action(manager, (session) => session.get("basket"))())).toEqual([]);
  });

  it.for(Object.entries(thrownBy))("keeps the cookie of what throws %s()", async ([, make]) => {
    const manager = managerOf();
    const { browser, acting } = visitor();
    const thrown = make();
    const logIn = action(manager, async (session) => {
      await session.login("dave");
      session.set("basket", 1);
      throw thrown;
    });
    await expect(acting(logIn)).rejects.toBe(thrown);
    const session = await manager.load(browser.value());
    expect([session.userId, session.get("basket")]).toEqual(["dave", 1]);
  });

  it("fails when the session can't be stored, in place of a redirect", async () => {
    const gated = new GatedStore();
    const manager = new SessionManager<Data>(gated);
    const { browser, acting } = visitor();
    gated.failure = down;
    const asked = acting(
      action(manager, (session) => {
        session.set("basket", 1);
        throw thrownBy.redirect();
      }),
    );
    await expect(asked).rejects.toBe(down);
    expect(browser.header).toBe("");
  });

  it("is the session of getSession and of actions that it calls, each manager's own", async () => {
    const [manager, other] = [managerOf(), managerOf({ scope: "admin", cookie: { name: "admin" } })];
    const { browser, acting } = visitor();
    const inner = action(manager, async (session) => {
      session.update("basket", (count = 0) => count + 1);
      expect(await getSession(manager)).toBe(session);
    });
    await acting(
      action(manager, async (session) => {
        await inner();
        expect(await getSession(manager)).toBe(session);
        expect((await getSession(other)).size).toBe(0);
        await action(other, (administrator) => administrator.login("root"))();
        await inner();
      }),
    );
    expect((await manager.load(browser.value())).get("basket")).toBe(2);
    expect((await other.load(browser.value("admin"))).userId).toBe("root");
  });

  it("sets a persistent cookie again that a page could not extend", async () => {
    const manager = managerOf({ idleTimeout: "1h" });
    const { browser, acting } = visitor();
    await acting(() => action(manager, (session) => session.login("erin", { remember: "30d", idleTimeout: "7d" }))());
    const told = await acting(() => action(manager, (session) => session.userId)());
    expect(told).toEqual([expect.stringMatching(`^session=${browser.value()}; Max-Age=604800; `)]);
    await acting(() => action(manager, (session) => session.login("erin", { remember: false }))());
    expect(await acting(() => action(manager, (session) => session.userId)())).toEqual([]);
  });

  it("takes no argument of a Server Action for the request of a route handler", async () => {
    const manager = managerOf();
    const { browser, acting } = visitor();
    await acting(() => action(manager, (session) => session.login("heidi"))());
    const forged = { url: "https://example.org/", method: "POST", headers: new Headers({ cookie: "session=x" }) };
    await acting(async () => {
      expect(await action(manager, (session, _argument: object) => session.userId)(forged)).toBe("heidi");
    });
    expect(browser.header).toMatch(/^session=/);
  });

  it("throws on what a Server Action throws, such as a missing login", async () => {
    const manager = managerOf();
    await expect(visitor().acting(action(manager, (session) => session.requireUser()))).rejects.toThrow(
      LoginRequiredError,
    );
  });

  it("answers as a route handler, with the cookie of what was stored", async () => {
    const manager = managerOf({ onError: () => undefined });
    const answer = async (work: () => Response, cookie?: string): Promise<[Response, string | undefined]> => {
      const handler = action(manager, async (session, request: Request, context: { params: { id: string } }) => {
        session.set("basket", Number(context.params.id));
        expect([request.method, await getSession(manager)]).toEqual(["POST", session]);
        return work();
      });
      const headers = cookie === undefined ? {} : { cookie };
      const request = new Request("https://example.org/", { method: "POST", headers });
      const response = await handler(request, { params: { id: "7" } });
      const token = /^session=([^;]+)/.exec(response.headers.getSetCookie()[0] ?? "")?.[1];
      expect((await manager.load(token)).get("basket")).toBe(7);
      return [response, response.headers.get("location") ?? undefined];
    };
    const [plain] = await answer(() => Response.json({}));
    expect([plain.status, plain.headers.get("cache-control")]).toEqual([200, "private, no-store"]);
    const fail = (error: Error) => (): never => {
      throw error;
    };
    const [redirected, location] = await answer(fail(thrownBy.redirect()));
    expect([redirected.status, location]).toEqual([307, "/account"]);
    expect((await answer(fail(thrownBy.notFound())))[0].status).toBe(404);
    expect((await answer(fail(new LoginRequiredError())))[0].status).toBe(401);
    expect((await answer(fail(new Error("expected by the test"))))[0].status).toBe(500);
  });
});

describe("sessionProxy", () => {
  const request = (cookie?: string): Request =>
    new Request("https://example.org/", { headers: cookie === undefined ? {} : { cookie } });

  it("lets requests go on, and extends a persistent cookie when it is due", async () => {
    const manager = managerOf({ idleTimeout: "1h", cookie: { persist: true } });
    const proxy = sessionProxy(manager);
    const stranger = await proxy(request());
    expect([stranger.headers.get("x-middleware-next"), stranger.headers.getSetCookie()]).toEqual(["1", []]);
    const session = await manager.load();
    await session.login("frank");
    await manager.commit(session);
    expect((await proxy(request(`session=${session.token}`))).headers.getSetCookie()).toEqual([]);
    await database
      .admin()
      .query("UPDATE sessions SET expiry = now() + interval '10 minutes' WHERE token = $1", [session.id]);
    const due = await proxy(request(`session=${session.token}`));
    const [cookie = ""] = due.headers.getSetCookie();
    expect(cookie).toMatch(new RegExp(`^session=${session.token}; Max-Age=`));
    // The page of this request gets the cookie that the response sets.
    expect(due.headers.get("x-middleware-set-cookie")).toBe(cookie);
    expect([due.headers.get("x-middleware-next"), due.headers.get("cache-control")]).toEqual([
      "1",
      "private, no-store",
    ]);
  });

  it("lets its handler answer", async () => {
    const manager = managerOf();
    const proxy = sessionProxy(manager, (_request, { userId }) =>
      userId === undefined ? Response.redirect("https://example.org/login", 302) : undefined,
    );
    const refused = await proxy(request());
    expect([refused.status, refused.headers.get("location")]).toEqual([302, "https://example.org/login"]);
    const session = await manager.load();
    await session.login("grace");
    await manager.commit(session);
    expect((await proxy(request(`session=${session.token}`))).headers.get("x-middleware-next")).toBe("1");
  });
});
