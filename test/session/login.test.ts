import { describe, expect, it } from "vitest";
import {
  FreshLoginRequiredError,
  LoginRequiredError,
  MemoryStore,
  type Session,
  SessionManager,
  type SessionOptions,
} from "../../src/index.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A manager on a store whose clock stands still until it is moved. */
function begin(options: SessionOptions = {}) {
  const clock = { now: 1_800_000_000_000 };
  const store = new MemoryStore({ cleanupInterval: 0, now: () => clock.now });
  const manager = new SessionManager<Record<string, unknown>>(store, options);
  type Loaded = Session<Record<string, unknown>>;
  return {
    clock,
    store,
    manager,
    /** Makes a change in a request of its own. */
    async visit(token: string | undefined, change: (session: Loaded) => unknown = () => {}) {
      const session = await manager.load(token);
      await change(session);
      const result = await manager.commit(session);
      return { session, token: session.token, result };
    },
    expiryOf: async (session: Loaded) =>
      ((await store.find(session.id ?? ""))?.expiry.getTime() ?? Number.NaN) - clock.now,
  };
}

describe("login", () => {
  it("keeps what a visitor's session held, and what the same user's held", async () => {
    const { visit } = begin();
    const { token } = await visit(undefined, (session) => session.set("basket", ["book"]));
    const ada = await visit(token, async (session) => {
      session.set("theme", "dark");
      await session.login("ada");
    });
    expect(ada.session.keys()).toEqual(["basket", "theme"]);
    const again = await visit(ada.token, (session) => session.login("ada"));
    expect([again.session.userId, again.session.keys()]).toEqual(["ada", ["basket", "theme"]]);
  });

  it("drops all that another user's session held, whatever `keep` says, and what was set before in the same request", async () => {
    for (const options of [{}, { keep: true }, { keep: ["basket"] }]) {
      const { visit } = begin();
      const ada = await visit(undefined, async (session) => {
        await session.login("ada", { remember: "30d", idleTimeout: "1h", tags: ["sid"] });
        session.set("basket", ["book"]).set("isAdmin", true);
      });
      const bob = await visit(ada.token, async (session) => {
        session.set("note", "still Ada's");
        await session.login("bob", options);
        session.set("greeting", "hello");
      });
      const { session } = await visit(bob.token);
      expect([session.userId, session.keys(), session.tags]).toEqual(["bob", ["greeting"], []]);
      expect(bob.result.setCookie).not.toMatch(/Max-Age/);
    }
  });

  it("drops it too when the other user logged in by another request meanwhile", async () => {
    const { visit, manager } = begin();
    const { token } = await visit(undefined, (session) => session.set("theme", "dark"));
    const bob = await manager.load(token);
    const ada = await manager.load(token);
    // Under the same token: what a login writes, by hand.
    const { store } = manager;
    await ada.login("ada");
    ada.set("isAdmin", true);
    await manager.commit(ada);
    const row = await store.find(ada.id ?? "");
    const [data, expiry] = [row?.data ?? new Uint8Array(), row?.expiry ?? new Date()];
    await store.delete(bob.id ?? "");
    await store.save(bob.id ?? "", data, expiry);
    await bob.login("bob");
    await manager.commit(bob);
    const after = await manager.load(bob.token);
    expect([after.userId, after.keys()]).toEqual(["bob", []]);
  });

  it("keeps of a visitor's session the keys that it is told", async () => {
    for (const [keep, kept] of [
      [["basket", "absent"], ["basket"]],
      [[], []],
      [false, []],
      [true, ["basket", "theme"]],
    ] as const) {
      const { visit } = begin();
      const { token } = await visit(undefined, (session) => session.set("basket", 1).set("theme", 2));
      const { session } = await visit(token, (visitor) => visitor.login("ada", { keep }));
      expect([session.userId, session.keys()]).toEqual(["ada", kept]);
    }
  });

  it("refuses options that make no sense, naming them, and nothing has happened then", async () => {
    const { visit, manager } = begin();
    const { token } = await visit(undefined, (session) => session.set("a", 1));
    const session = await manager.load(token);
    const wrong: [object | null, RegExp][] = [
      [{ keeps: [] }, /login: keeps: there is no such option/],
      [{ keep: "basket" }, /login: keep: expected/],
      [{ keep: [1] }, /login: keep: expected/],
      [{ remember: "soon" }, /login: remember: /],
      [{ remember: 0 }, /login: remember: expected a duration of more than 0/],
      [{ remember: true, lifetime: 0 }, /login: lifetime: expected a duration of more than 0/],
      [{ lifetime: [] }, /login: lifetime: /],
      [{ idleTimeout: -1 }, /login: idleTimeout: /],
      [{ tags: "sid" }, /login: tags: expected an array/],
      [{ tags: [""] }, /login: tags: expected 1 to 1024 bytes/],
      [{ tags: ["%admin:sid"] }, /login: tags: expected 1 to 1024 bytes/],
      [{ tags: [7] }, /login: tags: expected 1 to 1024 bytes/],
      [{ tags: ["a\0b"] }, /login: tags: /],
      [{ tags: ["x".repeat(1025)] }, /login: tags: expected 1 to 1024 bytes .*, got a string of 1025 characters$/],
      [{ tags: Array.from({ length: 101 }, (_, n) => `tag ${n}`) }, /login: tags: expected at most 100 tags, got 101/],
      [null, /login: expected an object, got null/],
    ];
    for (const [options, message] of wrong) {
      const failure: unknown = await session.login("ada", options as object).catch((error: unknown) => error);
      expect(failure, String(message)).toBeInstanceOf(TypeError);
      expect((failure as Error).message).toMatch(message);
    }
    expect([session.userId, session.status, session.token]).toEqual([undefined, "unmodified", token]);
  });
});

describe("the times of one session", () => {
  it("are what its login says: remembered for 30 days, cookie and row alike, past the manager's idle timeout", async () => {
    const { visit, expiryOf, clock } = begin({ idleTimeout: "20m" });
    const { token, result, session } = await visit(undefined, (visitor) => visitor.login("ada", { remember: "30d" }));
    expect(result.setCookie).toMatch(/Max-Age=2592000;/);
    expect(await expiryOf(session)).toBe(30 * DAY);
    expect(session.deadline.getTime()).toBe(clock.now + 30 * DAY);
    clock.now += 29 * DAY;
    const later = await visit(token, (one) => one.set("a", 1));
    expect([later.session.userId, later.result.kind, await expiryOf(later.session)]).toEqual(["ada", "nothing", DAY]);
    clock.now += DAY;
    expect((await visit(token)).session.userId).toBeUndefined();
  });

  it("may be an idle timeout within a lifetime; each touch tells the cookie", async () => {
    const { visit, expiryOf, clock } = begin();
    const options = { remember: true, lifetime: "30d", idleTimeout: "7d" } as const;
    const { token, result, session } = await visit(undefined, (visitor) => visitor.login("ada", options));
    expect([await expiryOf(session), session.deadline.getTime()]).toEqual([7 * DAY, clock.now + 30 * DAY]);
    expect(result.setCookie).toMatch(/Max-Age=604800;/);
    clock.now += 7 * HOUR;
    expect((await visit(token)).result.kind).toBe("nothing");
    clock.now += 6 * DAY;
    const touched = await visit(token);
    expect(touched.result.setCookie).toMatch(/Max-Age=604800;/);
    expect(await expiryOf(touched.session)).toBe(7 * DAY);
    clock.now += 7 * DAY;
    expect((await visit(token)).session.status).toBe("new");
  });

  it("can be set later, and taken back: cookie and row agree", async () => {
    const { visit, expiryOf } = begin({ idleTimeout: "20m", lifetime: "12h" });
    const { token, session } = await visit(undefined, (one) => one.login("ada"));
    expect(await expiryOf(session)).toBe(20 * MINUTE);
    const remembered = await visit(token, (one) => one.rememberMe(true));
    expect([await expiryOf(session), remembered.result.setCookie]).toEqual([
      12 * HOUR,
      expect.stringMatching(/Max-Age=43200;/),
    ]);
    const idle = await visit(token, (one) => one.setIdleTimeout("1h"));
    expect([await expiryOf(session), idle.result.setCookie]).toEqual([HOUR, expect.stringMatching(/Max-Age=3600;/)]);
    const any = await visit(token, (one) => one.setIdleTimeout(0));
    expect([await expiryOf(session), any.result.setCookie]).toEqual([
      12 * HOUR,
      expect.stringMatching(/Max-Age=43200;/),
    ]);
    const forgotten = await visit(token, (one) => {
      one.rememberMe(false);
      one.setIdleTimeout("5m");
    });
    expect(await expiryOf(session)).toBe(5 * MINUTE);
    expect(forgotten.result.setCookie).not.toMatch(/Max-Age/);
    expect(() => session.setIdleTimeout("often" as never)).toThrow(/^setIdleTimeout: /);
  });

  it("make no row by themselves, and a later login has its own", async () => {
    const { visit, store, expiryOf } = begin({ idleTimeout: "20m" });
    await visit(undefined, (session) => {
      session.rememberMe(true);
      session.setIdleTimeout("1h");
    });
    expect(await store.count()).toBe(0);
    const first = await visit(undefined, (session) => session.login("ada", { lifetime: "1h", idleTimeout: 0 }));
    const again = await visit(first.token, (session) => session.login("ada"));
    expect(await expiryOf(again.session)).toBe(20 * MINUTE);
  });

  it("stay with a renewal: the deadline is kept, unless the lifetime is to begin anew", async () => {
    const { visit, clock } = begin();
    const first = await visit(undefined, (session) => session.login("ada", { lifetime: "2d" }));
    const deadline = clock.now + 2 * DAY;
    clock.now += DAY;
    const kept = await visit(first.token, (session) => session.renewToken());
    expect(kept.session.deadline.getTime()).toBe(deadline);
    const restarted = await visit(kept.token, (session) => session.renewToken({ restart: true }));
    expect(restarted.session.deadline.getTime()).toBe(clock.now + 2 * DAY);
    const session = await visit(restarted.token, (one) => one.set("a", 1));
    for (const options of [{ keepDeadline: true }, { restart: "yes" }]) {
      await expect(session.session.renewToken(options as object)).rejects.toThrow(/^renewToken: /);
    }
    for (const other of ["ada", 1, null]) await session.session.renewToken(other as never);
  });

  it("are not shortened by a deadline that was set before the login, where the login says how long", async () => {
    const { visit, clock } = begin();
    for (const [options, expected] of [
      [{}, HOUR],
      [{ lifetime: "2d" }, 2 * DAY],
    ] as const) {
      const { token } = await visit(undefined, (session) => session.set("a", 1));
      for (const which of [token, undefined]) {
        const { session } = await visit(which, async (one) => {
          one.setDeadline(new Date(clock.now + HOUR));
          await one.login("ada", options);
        });
        expect(session.deadline.getTime()).toBe(clock.now + expected);
      }
    }
  });
});

describe("a fresh login", () => {
  it("is known by when it was, and renewed by proving again who one is", async () => {
    const { visit, clock } = begin();
    const anonymous = await visit(undefined, (session) => session.set("a", 1));
    expect(anonymous.session.loggedInAt).toBeUndefined();
    expect(() => anonymous.session.requireUser()).toThrow(LoginRequiredError);
    expect(() => anonymous.session.requireFresh("1d")).toThrow(LoginRequiredError);
    await expect(anonymous.session.reauthenticate()).rejects.toThrow(LoginRequiredError);
    const ada = await visit(anonymous.token, (session) => session.login("ada"));
    const at = clock.now;
    clock.now += 15 * MINUTE;
    const { session } = await visit(ada.token);
    expect(session.loggedInAt).toEqual(new Date(at));
    session.loggedInAt?.setTime(0);
    expect([session.requireUser(), session.requireFresh("15m"), session.requireFresh(15 * MINUTE)]).toEqual(
      Array(3).fill("ada"),
    );
    clock.now += 1;
    expect(() => session.requireFresh("15m")).toThrow(FreshLoginRequiredError);
    expect(() => session.requireFresh("a while" as never)).toThrow(/^requireFresh: age: /);
    const proven = await visit(ada.token, (one) => one.reauthenticate());
    expect(proven.session.requireFresh(0)).toBe("ada");
    expect([proven.session.loggedInAt, proven.session.get("a")]).toEqual([new Date(clock.now), 1]);
    expect(proven.session.deadline.getTime()).toBe(clock.now + DAY);
    expect((await visit(ada.token)).session.userId).toBeUndefined();
    const renewed = await visit(proven.token, (one) => one.renewToken());
    expect(renewed.session.loggedInAt).toEqual(new Date(clock.now));
    const reset = await visit(renewed.token, (one) => one.reset());
    expect(reset.session.loggedInAt).toBeUndefined();
  });

  it("is none where nobody knows when the login was", async () => {
    const { visit, manager } = begin();
    const { session, token } = await visit(undefined, (one) => one.login("ada"));
    const { store } = manager;
    const row = await store.find(session.id ?? "");
    const text = new TextDecoder().decode(row?.data).replace(/"__loggedInAt":\d+/, '"__loggedInAt":"now"');
    await store.save(session.id ?? "", new TextEncoder().encode(text), row?.expiry ?? new Date());
    const found = await visit(token);
    expect([found.session.requireUser(), found.session.loggedInAt]).toEqual(["ada", undefined]);
    expect(() => found.session.requireFresh("1d")).toThrow(FreshLoginRequiredError);
  });
});
