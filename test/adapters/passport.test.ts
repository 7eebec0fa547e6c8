import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ConnectOptions, connect, type PassportSession } from "../../src/express.ts";
import { MemoryStore, PgStore, Session, SessionManager } from "../../src/index.ts";
import { assignSloppily } from "../support/assign-sloppily.ts";
import { Gate } from "../support/barrier.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { serving } from "../support/serve.ts";
import {
  ADA,
  Browser,
  type Data,
  describePassport,
  expressApp,
  inMemory,
  LOGIN,
  NOBODY,
  type Setup,
} from "./passport-apps.ts";

describePassport("passport 0.7", expressApp);

describe("connect(manager, { passport: true })", () => {
  it("is answered by a login whatever the options of authenticate are", async () => {
    const cases: [login: object, status: number, user: unknown[]][] = [
      [{ keepSessionInfo: true }, 200, ["u-ada", "u-ada", ["book"]]],
      [{ successRedirect: "/me" }, 302, ADA],
      [{ successReturnToOrRedirect: "/me", keepSessionInfo: true }, 302, ["u-ada", "u-ada", ["book"]]],
      [{ successMessage: "Hello", failWithError: true, failureMessage: true }, 200, ADA],
      [{ session: false }, 200, [null, null, ["book"]]],
    ];
    for (const [login, status, user] of cases) {
      const manager = inMemory();
      await serving(expressApp({ manager, login }), async (served) => {
        const browser = new Browser(served);
        await browser.go("/visit");
        const before = browser.cookie;
        expect((await browser.go(LOGIN)).status, JSON.stringify(login)).toBe(status);
        expect(await browser.me(), JSON.stringify(login)).toEqual(user);
        expect(browser.cookie === before, JSON.stringify(login)).toBe("session" in login);
      });
    }
  });

  it("keeps nothing of another user, even with keepSessionInfo", async () => {
    await serving(expressApp({ manager: inMemory(), login: { keepSessionInfo: true } }), async (served) => {
      const browser = new Browser(served);
      await browser.go(LOGIN);
      await browser.go("/visit");
      await browser.go("/login?username=bob&password=right");
      expect(await browser.me()).toEqual(["u-bob", "u-bob", null]);
    });
  });

  it("logs in by req.login, and keeps data over a log-out only with keepSessionInfo", async () => {
    const manager = inMemory();
    const use: Setup["use"] = (app) => {
      app.get("/in", (req, res, next) => req.login({ id: "u-eve" }, (error) => (error ? next(error) : res.send("in"))));
      app.get("/out", (req, res, next) =>
        req.logout({ keepSessionInfo: true }, (error) => (error ? next(error) : res.send("out"))),
      );
      app.get("/bye", (req, res, next) =>
        req.logout((error) => {
          if (error) return next(error);
          (req.session as PassportSession)["notice"] = "Bye";
          return res.send("out");
        }),
      );
      app.get("/notice", (req, res) => void res.json(req.session.pop("notice") ?? null));
    };
    await serving(expressApp({ manager, use }), async (served) => {
      const browser = new Browser(served);
      await browser.go("/in");
      await browser.go("/visit");
      const { cookie } = browser;
      await browser.go("/out");
      expect(await browser.me()).toEqual([null, null, ["book"]]);
      expect(browser.cookie).not.toBe(cookie);
      expect(await manager.listByUser("u-eve")).toEqual([]);
      await browser.go("/in");
      await browser.go("/bye");
      expect(await (await browser.go("/notice")).json()).toBe("Bye");
      expect(await browser.me()).toEqual(NOBODY);
    });
  });

  it("logs out whom deserializeUser does not find", async () => {
    const manager = inMemory();
    let isKnown = true;
    await serving(expressApp({ manager, knows: () => isKnown }), async (served) => {
      const browser = new Browser(served);
      await browser.go(LOGIN);
      isKnown = false;
      await browser.me();
      isKnown = true;
      expect(await browser.me()).toEqual(NOBODY);
      expect(await manager.listByUser("u-ada")).toEqual([]);
    });
  });

  it("finds the id of users that are objects, by default or by the option userId", async () => {
    const cases: [serialize: Setup["serialize"], passport: ConnectOptions["passport"], id: string][] = [
      [() => ({ id: 42, name: "Ada", picture: undefined }), true, "42"],
      [() => 7, true, "7"],
      [() => ({ email: "ada@example.com" }), { userId: (user: { email: string }) => user.email }, "ada@example.com"],
      // As the id of an ORM.
      [() => ({ toJSON: () => "5f1d" }), { userId: String }, "[object Object]"],
    ];
    for (const [serialize, passport, id] of cases) {
      const manager = inMemory();
      await serving(expressApp({ manager, options: { passport }, serialize: serialize as never }), async (served) => {
        const browser = new Browser(served);
        expect((await browser.go(LOGIN)).status, id).toBe(200);
        expect((await browser.me()) as unknown[], id).toContain(id);
        expect(await manager.listByUser(id)).toHaveLength(1);
      });
    }
  });

  it("says what is missing when a user has no id, and logs nobody in", async () => {
    const manager = inMemory();
    await serving(expressApp({ manager, serialize: () => ({ name: "Ada" }) }), async (served) => {
      const browser = new Browser(served);
      await browser.go("/visit");
      const login = await browser.go(LOGIN);
      expect([login.status, await login.text()]).toEqual([
        500,
        "TypeError: passport: expected a serialized user that is a string, a number or an object with an id, got undefined. " +
          "Name its id: passport: { userId: (user) => user.email }",
      ]);
      expect(await browser.me()).toEqual([null, null, ["book"]]);
    });
  });

  it("logs in for good beside a parallel request, whichever is stored first", async () => {
    const manager = inMemory();
    const [arrived, gate] = [new Gate(), new Gate()];
    const use: Setup["use"] = (app) => {
      app.get("/slow", async (req, res) => {
        (req.session as PassportSession)["slow"] = true;
        arrived.open();
        await gate.wait();
        res.send("slow");
      });
    };
    await serving(expressApp({ manager, use }), async (served) => {
      const browser = new Browser(served);
      await browser.go("/visit");
      const slow = new Browser(served, browser.cookie);
      const answer = slow.go("/slow");
      await arrived.wait();
      await browser.go(LOGIN);
      gate.open();
      expect((await answer).headers.getSetCookie()).toEqual([]);
      expect(await browser.me()).toEqual(ADA);
      expect(await manager.listByUser("u-ada")).toHaveLength(1);
    });
  });

  it("logs out for good, though a parallel request has renewed the token", async () => {
    const manager = inMemory();
    const [arrived, gate] = [new Gate(), new Gate()];
    const use: Setup["use"] = (app) => {
      app.get("/renew", async (req, res) => {
        await req.session.renewToken();
        res.send("renewed");
      });
      app.get("/slow-logout", async (req, res, next) => {
        arrived.open();
        await gate.wait();
        req.logout((error) => (error ? next(error) : res.send("out")));
      });
    };
    await serving(expressApp({ manager, use }), async (served) => {
      const browser = new Browser(served);
      await browser.go(LOGIN);
      const leaving = new Browser(served, browser.cookie).go("/slow-logout");
      await arrived.wait();
      await browser.go("/renew");
      expect(await browser.me()).toEqual(ADA);
      gate.open();
      expect(await (await leaving).text()).toBe("out");
      expect(await browser.me()).toEqual(NOBODY);
      expect(await manager.listByUser("u-ada")).toEqual([]);
    });
  });

  it("binds and unbinds a user who is changed in place before or after a commit of the session's own", async () => {
    const manager = inMemory();
    const use: Setup["use"] = (app) => {
      app.get("/in", async (req, res) => {
        (req.session as PassportSession)["passport"] ??= {};
        await manager.commit(manager.sessionOf(req));
        (req.session as PassportSession)["passport"].user = "u-eve";
        await req.session.renewToken();
        res.json([req.session.userId, req.session.loggedInAt !== undefined]);
      });
      app.get("/again", async (req, res) => {
        (req.session as PassportSession)["passport"].user = "u-bob";
        await req.session.reauthenticate();
        res.json(req.session.userId);
      });
      app.get("/out", async (req, res) => {
        delete (req.session as PassportSession)["passport"].user;
        await req.session.renewToken();
        res.json(req.session.userId ?? null);
      });
      app.get("/late-out", async (req, res) => {
        (req.session as PassportSession)["passport"].seen = true;
        await req.session.renewToken();
        delete (req.session as PassportSession)["passport"].user;
        res.send("out");
      });
    };
    await serving(expressApp({ manager, use }), async (served) => {
      const browser = new Browser(served);
      await browser.go("/visit");
      expect(await (await browser.go("/in")).json()).toEqual(["u-eve", true]);
      expect(await manager.listByUser("u-eve")).toHaveLength(1);
      expect(await (await browser.go("/again")).json()).toBe("u-bob");
      expect(await browser.me()).toEqual(["u-bob", "u-bob", null]);
      const { cookie } = browser;
      expect(await (await browser.go("/out")).json()).toBe(null);
      expect(await browser.me()).toEqual(NOBODY);
      expect(await manager.listByUser("u-bob")).toEqual([]);
      expect(await new Browser(served, cookie).me()).toEqual(NOBODY);
      await browser.go("/in");
      await browser.go("/late-out");
      expect(await browser.me()).toEqual(NOBODY);
      expect(await manager.listByUser("u-eve")).toEqual([]);
    });
  });

  it.each([
    ["in place", (session: PassportSession) => void (session["passport"].user.name = "Ada")],
    [
      "by assignment",
      (session: PassportSession) => void (session["passport"] = { user: { id: "u-ada", name: "Ada" } }),
    ],
  ])("takes a change of the same user %s for no login that outlives a revocation", async (how, change) => {
    const manager = inMemory();
    const [arrived, gate] = [new Gate(), new Gate()];
    const use: Setup["use"] = (app) => {
      app.get("/rename", (req, res) => {
        change(req.session as PassportSession);
        res.send("renamed");
      });
      app.get("/slow-rename", async (req, res) => {
        arrived.open();
        await gate.wait();
        change(req.session as PassportSession);
        res.send("renamed");
      });
    };
    await serving(expressApp({ manager, use, serialize: ({ id }) => ({ id }) }), async (served) => {
      const browser = new Browser(served);
      await browser.go(LOGIN);
      const { cookie } = browser;
      const [before] = await manager.listByUser("u-ada");
      await browser.go("/rename");
      expect(browser.cookie === cookie).toBe(how === "in place");
      if (how === "in place") expect((await manager.listByUser("u-ada"))[0]?.created).toEqual(before?.created);
      const late = new Browser(served, browser.cookie);
      const answer = late.go("/slow-rename");
      await arrived.wait();
      await manager.destroyByUser("u-ada");
      gate.open();
      expect((await answer).headers.getSetCookie()).toEqual([]);
      expect(await manager.listByUser("u-ada")).toEqual([]);
    });
  });

  it("leaves logins by the session's own methods alone", async () => {
    const manager = inMemory();
    const use: Setup["use"] = (app) => {
      app.get("/own", async (req, res) => {
        await req.session.login("u-own");
        res.send("in");
      });
    };
    await serving(expressApp({ manager, use }), async (served) => {
      const browser = new Browser(served);
      await browser.go("/own");
      expect(await browser.me()).toEqual([null, "u-own", null]);
      await browser.go("/logout");
      expect(await browser.me()).toEqual(NOBODY);
      await browser.go(LOGIN);
      await browser.go("/own");
      expect(await browser.me()).toEqual([null, "u-own", null]);
      expect(await manager.listByUser("u-ada")).toEqual([]);
    });
  });

  it("is a session whose values are properties, too", async () => {
    const manager = inMemory();
    const seen: unknown[] = [];
    const use: Setup["use"] = (app) => {
      app.get("/properties", (req, res) => {
        const session = req.session as PassportSession;
        session["a"] = { b: 1 };
        session["a"].b++;
        session["gone"] = 1;
        delete session["gone"];
        session["also"] = undefined;
        const old = req.session;
        seen.push(
          session instanceof Session,
          Object.keys(session),
          Object.assign({}, session),
          "a" in session,
          "gone" in session,
        );
        seen.push(session.data(), session.get("a" as never), manager.sessionOf(req) === (old as unknown));
        expect(() => assignSloppily(session, "userId", "eve")).toThrow(/await session\.login\(userId\)/);
        expect(() => assignSloppily(session, "regenerate", 1)).toThrow(/session\.regenerate = … stores nothing/);
        expect(() => session["cookie"]).toThrow(/rememberMe/);
        expect(() => (req.session = null as never)).toThrow(/await request\.session\.destroy\(\)/);
        session.regenerate(() => {
          seen.push(req.session === old, Object.keys(old), Object.keys(req.session));
          session.destroy(() => res.send("destroyed"));
        });
      });
    };
    await serving(expressApp({ manager, use }), async (served) => {
      const browser = new Browser(served);
      await browser.go("/visit");
      expect(await (await browser.go("/properties")).text()).toBe("destroyed");
      const values = { a: { b: 2 }, cart: ["book"] };
      expect(seen).toEqual([
        true,
        ["a", "cart"],
        values,
        true,
        false,
        values,
        { b: 2 },
        false,
        false,
        ["a", "cart"],
        [],
      ]);
      expect(browser.cookie).toBe(undefined);
    });
  });

  it("refuses options that make no sense", () => {
    const lazy = new SessionManager<Data, true>(new MemoryStore({ cleanupInterval: 0 }), { lazy: true });
    expect(() => connect(lazy, { passport: true })).toThrow(/^passport: cannot be combined with lazy: true/);
    expect(() => connect(inMemory(), { passport: { userID: String } as never })).toThrow(
      /^passport\.userID: there is no/,
    );
    expect(() => connect(inMemory(), { passport: 1 as never })).toThrow(/^passport: expected an object/);
  });
});

describe("connect(manager, { passport: true }) on PostgreSQL", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  it("ends with one row for each of many parallel logins of one session, all of them listed", async () => {
    const store = new PgStore(database.pool(), { cleanupInterval: 0 });
    const manager = new SessionManager<Data>(store);
    await serving(expressApp({ manager }), async (served) => {
      const browser = new Browser(served);
      await browser.go("/visit");
      const logins = Array.from({ length: 8 }, () => new Browser(served, browser.cookie));
      await Promise.all(logins.map((one) => one.go(LOGIN)));
      for (const one of logins) expect(await one.me()).toEqual(ADA);
      expect(new Set(logins.map(({ cookie }) => cookie)).size).toBe(8);
      expect(await manager.listByUser("u-ada")).toHaveLength(8);
      expect(await browser.me()).toEqual(NOBODY);
    });
  });
});
