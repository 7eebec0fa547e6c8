import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { MemoryStore, SessionManager, SessionMissingError, type SessionOptions, type Store } from "../../src/index.ts";
import { scsJson } from "../../src/codecs.ts";
import { idOf } from "../../src/lib/core/token.ts";
import { GatedStore } from "../support/gated-store.ts";

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;

/** A manager on a memory store whose clock stands still until it is set. */
function setup(options?: SessionOptions) {
  const clock = { now: NOW };
  const store = new MemoryStore({ cleanupInterval: 0, now: () => clock.now });
  return { clock, store, manager: new SessionManager(store, options) };
}

async function stored(manager: SessionManager, values: Record<string, unknown> = { key: 1 }): Promise<string> {
  const session = await manager.load();
  for (const [key, value] of Object.entries(values)) session.set(key, value);
  await manager.commit(session);
  return session.token ?? "";
}

describe("SessionManager.load", () => {
  it("makes a new, empty session of no token, and of one that is unknown, expired, malformed or an id", async () => {
    const { clock, store, manager } = setup();
    const token = await stored(manager);
    for (const presented of [undefined, null, "", "x".repeat(43), `${token}x`, idOf(token), "%00", "' OR 1=1 --"]) {
      const session = await manager.load(presented);
      expect([session.status, session.size], String(presented)).toEqual(["new", 0]);
      expect(session.token).not.toBe(presented);
    }
    expect((await manager.load(token)).get("key")).toBe(1);
    clock.now += 25 * 60 * MINUTE;
    expect((await manager.load(token)).status).toBe("new");
    expect(await store.deleteExpired()).toBe(1);
  });

  it("never adopts the token that was presented", async () => {
    const { manager } = setup();
    const made = "A".repeat(43);
    const session = await manager.load(made);
    session.set("key", 1);
    const result = await manager.commit(session);
    expect(session.token).not.toBe(made);
    expect(result.setCookie).toContain(session.token);
    expect((await manager.load(made)).status).toBe("new");
  });

  it("keeps no token in the store, unless it is told to", async () => {
    const { store, manager } = setup();
    const token = await stored(manager);
    const keys: string[] = [];
    for await (const entry of store.all()) keys.push(entry.id);
    expect(keys).toEqual([idOf(token)]);
    const plain = new SessionManager(store, { hashTokens: false });
    const second = await stored(plain);
    expect(await store.find(second)).toBeDefined();
    expect((await plain.load(second)).id).toBe(second);
  });

  it("takes the only live one of several tokens; of two live ones, somebody has planted one, so none counts", async () => {
    const { manager } = setup();
    const [first, second] = [await stored(manager, { n: 1 }), await stored(manager, { n: 2 })];
    const events: unknown[] = [];
    const listener = (event: unknown): void => void events.push(event);
    subscribe("pgstore:duplicate", listener);
    expect((await manager.load(["x", "y".repeat(43), second])).get("n")).toBe(2);
    expect((await manager.load([second, first])).status).toBe("new");
    await (await manager.load(first)).destroy();
    expect((await manager.load([first, second])).get("n")).toBe(2);
    await (await manager.load(second)).destroy();
    const stale = await manager.load([first, second]);
    stale.set("n", 3);
    expect((await manager.commit(stale)).kind).toBe("nothing");
    unsubscribe("pgstore:duplicate", listener);
    const id = idOf("y".repeat(43));
    expect(events).toEqual([
      { id, live: 1 },
      { id: idOf(second), live: 2 },
      { id: idOf(first), live: 1 },
      { id: idOf(first), live: 0 },
    ]);
  });
});

describe("SessionManager.loadFrom", () => {
  it("asks nothing for malformed tokens, and nothing where more than four are well-formed: none of them counts", async () => {
    const store = new GatedStore();
    const manager = new SessionManager(store);
    const token = await stored(manager);
    const fifty = Array.from({ length: 50 }, (_, n) => `session=${String(n).padStart(43, "z")}`);
    expect(
      manager.loadFrom({ cookie: "session=a; session=%00; session=' OR 1; session=ü; sessio=x" }),
    ).not.toBeInstanceOf(Promise);
    expect(store.finds).toBe(0);
    const events: unknown[] = [];
    const listener = (event: unknown): void => void events.push(event);
    subscribe("pgstore:duplicate", listener);
    for (const cookie of [
      `${fifty.join("; ")}; session=${token}`,
      `session=${token}; ${fifty.join("; ")}`,
      `${fifty.slice(0, 4).join("; ")}; session=${token}`,
    ]) {
      expect((await manager.loadFrom({ cookie })).status).toBe("new");
    }
    unsubscribe("pgstore:duplicate", listener);
    expect(events).toEqual(
      [fifty[0], `session=${token}`, fifty[0]].map((cookie) => ({ id: idOf(cookie?.slice(8) ?? "") })),
    );
    expect(store.finds).toBe(0);
    const same = Array.from({ length: 9 }, () => `session=${token}`).join("; ");
    for (const cookie of [`${fifty.slice(0, 3).join("; ")}; session=${token}`, same]) {
      expect((await manager.loadFrom({ cookie })).get("key")).toBe(1);
    }
    expect((await manager.load([token, token])).get("key")).toBe(1);
    expect(store.finds).toBe(6);
    const found = await manager.loadFrom({
      cookie: `other=1; session=bad; session=${"q".repeat(43)};session=${token}`,
    });
    expect(found.get("key")).toBe(1);
    expect((await manager.loadFrom({ cookie: `%73ession=${token}; Session=${token}` })).status).toBe("new");
  });
});

describe("SessionManager.commit", () => {
  it("tells caches to look at the cookie, though what it held was no token", async () => {
    const { manager } = setup();
    expect((await manager.commit(await manager.load("bad"))).vary).toBe("Cookie");
    expect((await manager.commit(await manager.load())).vary).toBe(undefined);
  });

  it("tells the client of a new session, and nothing of what it knows already", async () => {
    const { manager } = setup();
    const session = await manager.load();
    expect((await manager.commit(session)).kind).toBe("nothing");
    session.set("key", 1);
    const result = await manager.commit(session);
    expect(result.kind).toBe("set");
    expect(result.setCookie).toBe(`session=${session.token}; Path=/; HttpOnly; Secure; SameSite=Lax`);
    expect([...result.headers]).toEqual([
      ["cache-control", "private, no-store"],
      ["set-cookie", result.setCookie],
      ["vary", "Cookie"],
    ]);
    session.set("key", 2);
    const second = await manager.commit(session);
    expect([second.kind, second.setCookie, [...second.headers]]).toEqual(["nothing", undefined, [["vary", "Cookie"]]]);
  });

  it("moves the expiry with idleTimeout when touchAfter has passed, no further than the deadline", async () => {
    const { clock, store, manager } = setup({ lifetime: "1h", idleTimeout: "20m" });
    const token = await stored(manager);
    const expiry = async (): Promise<number> => ((await store.find(idOf(token)))?.expiry.getTime() ?? 0) - NOW;
    expect(await expiry()).toBe(20 * MINUTE);
    clock.now = NOW + MINUTE - 1;
    expect((await manager.commit(await manager.load(token))).kind).toBe("nothing");
    expect(await expiry()).toBe(20 * MINUTE);
    clock.now = NOW + MINUTE;
    // A cookie that ends with the browser's session has nothing to be told.
    expect((await manager.commit(await manager.load(token))).kind).toBe("nothing");
    expect(await expiry()).toBe(21 * MINUTE);
    for (let n = 2; n < 60; n++) {
      clock.now = NOW + n * MINUTE;
      await manager.commit(await manager.load(token));
    }
    expect(await expiry()).toBe(60 * MINUTE);
    clock.now = NOW + 60 * MINUTE;
    expect((await manager.load(token)).status).toBe("new");
  });

  it("moves a persistent cookie along with the row", async () => {
    const { clock, manager } = setup({ lifetime: "1h", idleTimeout: "20m", cookie: { persist: true } });
    const session = await manager.load();
    session.set("key", 1);
    expect((await manager.commit(session)).setCookie).toContain(
      "Max-Age=1200; Path=/; Expires=Fri, 15 Jan 2027 08:20:00 GMT",
    );
    clock.now += 10 * MINUTE + 500;
    const touched = await manager.commit(await manager.load(session.token));
    expect(touched.setCookie).toContain(
      `session=${session.token}; Max-Age=1200; Path=/; Expires=Fri, 15 Jan 2027 08:30:01 GMT`,
    );
  });

  it("makes the cookie persistent for rememberMe, and takes that back", async () => {
    const { manager } = setup({ lifetime: "1h" });
    const token = await stored(manager);
    const remembered = await manager.load(token);
    remembered.rememberMe(true);
    expect((await manager.commit(remembered)).setCookie).toContain("Max-Age=3600");
    const unchanged = await manager.load(token);
    unchanged.set("key", 2);
    expect((await manager.commit(unchanged)).kind).toBe("nothing");
    const forgotten = await manager.load(token);
    forgotten.rememberMe(false);
    expect((await manager.commit(forgotten)).setCookie).not.toContain("Max-Age");
  });

  it("takes it back of a manager whose cookies are persistent, too", async () => {
    const { manager } = setup({ lifetime: "1h", cookie: { persist: true } });
    const session = await manager.load();
    session.set("key", 1);
    expect((await manager.commit(session)).setCookie).toContain("Max-Age=3600");
    session.rememberMe(false);
    expect((await manager.commit(session)).setCookie).not.toContain("Max-Age");
    session.rememberMe(true);
    expect((await manager.commit(session)).setCookie).toContain("Max-Age=3600");
  });

  it("commits once what is asked for twice at the same time, and loses nothing set in between", async () => {
    const store = new GatedStore();
    const manager = new SessionManager(store);
    const session = await manager.load();
    session.set("a", 1);
    const { arrived, release } = store.hold();
    const first = manager.commit(session);
    await arrived;
    session.set("b", 2);
    const second = manager.commit(session);
    release();
    await Promise.all([first, second]);
    expect(store.writes).toBe(2);
    expect((await manager.load(session.token)).keys()).toEqual(["a", "b"]);
  });

  it("never takes over a row when a token is taken: it makes another", async () => {
    const store = new GatedStore();
    const manager = new SessionManager(store);
    const session = await manager.load();
    const taken = session.token ?? "";
    await store.save(idOf(taken), new TextEncoder().encode("theirs"), new Date(Date.now() + MINUTE));
    session.set("key", 1);
    const result = await manager.commit(session);
    expect(session.token).not.toBe(taken);
    expect(result.setCookie).toContain(session.token);
    expect(new TextDecoder().decode((await store.find(idOf(taken)))?.data)).toBe("theirs");
  });
});

describe("SessionManager.sessionOf", () => {
  it("throws SessionMissingError when no middleware ran", () => {
    const { manager } = setup();
    expect(() => manager.sessionOf({})).toThrow(SessionMissingError);
  });
});

describe("SessionManager.mergeSession", () => {
  it("takes over values and the later deadline, not the user, and ends the other session", async () => {
    const { clock, manager } = setup();
    const anonymous = await manager.load();
    await anonymous.login("mallory");
    anonymous.set("cart", ["hat"]).set("both", "theirs");
    clock.now += MINUTE;
    await manager.commit(anonymous);
    const session = await manager.load();
    session.set("both", "ours").set("own", 1);
    await session.login("ada");
    session.setDeadline(new Date(clock.now + 1000));
    await manager.mergeSession(session, anonymous.token ?? "");
    await manager.commit(session);
    const merged = await manager.load(session.token);
    expect(Object.fromEntries(merged.keys().map((key) => [key, merged.get(key)]))).toEqual({
      both: "theirs",
      cart: ["hat"],
      own: 1,
    });
    expect(merged.userId).toBe("ada");
    expect(merged.deadline).toEqual(anonymous.deadline);
    expect((await manager.load(anonymous.token)).status).toBe("new");
    const before = merged.status;
    await manager.mergeSession(merged, "unknown");
    await manager.mergeSession(merged, "x".repeat(43));
    await manager.mergeSession(merged, session.token ?? "");
    expect(merged.status).toBe(before);
  });
});

describe('secure: "auto"', () => {
  it("is Secure unless the adapter says that the response is not encrypted", async () => {
    const { manager } = setup();
    for (const [context, secure] of [
      [{}, true],
      [{ tls: true }, true],
      [{ tls: false }, false],
    ] as const) {
      const session = await manager.load();
      session.set("key", 1);
      expect((await manager.commit(session, context)).setCookie?.includes("Secure")).toBe(secure);
    }
    const always = new SessionManager(new MemoryStore({ cleanupInterval: 0 }), { cookie: { secure: true } });
    const session = await always.load();
    session.set("key", 1);
    expect((await always.commit(session, { tls: false })).setCookie).toContain("Secure");
  });
});

describe("misuse from JavaScript", () => {
  it("is a TypeError that names what is wrong", async () => {
    const lazy = new SessionManager(new MemoryStore(), { lazy: true });
    const request = {};
    await lazy.open(request, {});
    const manager = new SessionManager(new MemoryStore());
    const session = await manager.load();
    const expected = "session: expected a Session, as await manager.load() returns it, got";
    const wrong: [call: () => unknown, message: string][] = [
      [() => manager.commit(manager.load() as never), `${expected} an object`],
      [() => lazy.commit(lazy.sessionOf(request) as never), `${expected} an object`],
      [() => manager.commit(undefined as never), `${expected} undefined`],
      [() => manager.mergeSession({} as never, ""), `${expected} an object`],
      [() => manager.watch(null as never, () => {}), `${expected} null`],
      [() => manager.load({} as never), "token: expected a string or an array of strings, got an object"],
      [() => manager.destroyById("id", null as never), "options: expected an object, got null"],
      [() => manager.destroyByUser("ada", { except: 5 as never }), "except: expected sessions or their ids, got 5"],
      [() => session.setDeadline(new Date("?")), "setDeadline: expected a valid Date, got an invalid Date"],
      [() => session.get(undefined as never), "key: expected a string, got undefined"],
      [() => session.has(1 as never), "key: expected a string, got 1"],
      [() => session.delete(null as never), "delete: key: expected a string, got null"],
      [() => session.pop({} as never), "pop: key: expected a string, got an object"],
    ];
    for (const [call, message] of wrong) {
      await expect(async () => call()).rejects.toThrow(new TypeError(message));
    }
  });
});

describe("SessionManager.iterate", () => {
  it("lists live sessions, which can be changed and destroyed, and leaves out what can't be read", async () => {
    const { clock, store, manager } = setup();
    const tokens = [await stored(manager, { n: 1 }), await stored(manager, { n: 2 }), await stored(manager, { n: 3 })];
    await store.save("broken", new Uint8Array([1]), new Date(clock.now + MINUTE));
    await store.save("expired", new Uint8Array([1]), new Date(clock.now));
    const events: unknown[] = [];
    const listener = (event: unknown): number => events.push(event);
    subscribe("pgstore:error", listener);
    for await (const session of manager.iterate()) {
      expect(session.token).toBe(undefined);
      if (session.get("n") === 1) await session.destroy();
      else if (session.get("n") === 2) await manager.destroyById(session.id ?? "");
      else {
        session.set("seen", true);
        expect((await manager.commit(session)).kind).toBe("nothing");
      }
    }
    unsubscribe("pgstore:error", listener);
    expect(events).toMatchObject([{ id: "broken" }]);
    const statuses = await Promise.all(tokens.map(async (token) => (await manager.load(token)).status));
    expect(statuses).toEqual(["new", "new", "unmodified"]);
    expect((await manager.load(tokens[2])).get("seen")).toBe(true);
    await expect(manager.destroyById("unknown")).resolves.toBe(false);
  });

  it("says so when the store can't list", async () => {
    const store: Store = { find: async () => undefined, save: async () => {}, delete: async () => {} };
    await expect(new SessionManager(store).iterate().next()).rejects.toThrow(/can't list/);
  });
});

describe("a store of find, save and delete alone", () => {
  it("serves every operation, the last write winning", async () => {
    const memory = new MemoryStore({ cleanupInterval: 0 });
    const bare: Store = {
      find: (token) => memory.find(token),
      save: (token, data, expiry) => memory.save(token, data, expiry),
      delete: async (token) => void (await memory.delete(token)),
    };
    const manager = new SessionManager(bare, { idleTimeout: "20m", touchAfter: 0 });
    const token = await stored(manager, { a: 1 });
    const [one, two] = [await manager.load(token), await manager.load(token)];
    one.set("one", 1);
    two.set("two", 2);
    await manager.commit(one);
    await manager.commit(two);
    expect((await manager.load(token)).keys()).toEqual(["a", "two"]);
    const renewed = await manager.load(token);
    await renewed.renewToken();
    expect((await manager.load(token)).status).toBe("new");
    const loaded = await manager.load(renewed.token);
    expect(loaded.keys()).toEqual(["a", "two"]);
    const late = await manager.load(renewed.token);
    await loaded.destroy();
    expect((await manager.commit(loaded)).kind).toBe("clear");
    expect((await manager.commit(late)).kind).toBe("nothing");
    expect((await manager.load(renewed.token)).status).toBe("new");
  });

  it("moves its expiry too, and does not bring back by that what is gone", async () => {
    const clock = { now: NOW };
    const memory = new MemoryStore({ cleanupInterval: 0, now: () => clock.now });
    const bare: Store & { now: () => Promise<number> } = {
      find: (token) => memory.find(token),
      save: (token, data, expiry) => memory.save(token, data, expiry),
      delete: (token) => memory.delete(token),
      // A store may have to ask for its time.
      now: async () => clock.now,
    };
    const manager = new SessionManager(bare, { lifetime: "1h", idleTimeout: "20m", touchAfter: 0 });
    const token = await stored(manager);
    clock.now += MINUTE;
    const [touched, late] = [await manager.load(token), await manager.load(token)];
    expect(manager.commitSettled(touched)).toBe(undefined);
    await manager.commit(touched);
    expect((await memory.find(idOf(token)))?.expiry.getTime()).toBe(NOW + 21 * MINUTE);
    await manager.destroyById(idOf(token));
    clock.now += MINUTE;
    expect((await manager.commit(late)).kind).toBe("nothing");
    expect(late.status).toBe("destroyed");
    expect(await memory.find(idOf(token))).toBe(undefined);
  });

  it("is asked for its time once more when that fails, and the request fails then", async () => {
    const failing = {
      find: async () => ({ data: new TextEncoder().encode('{"data":{},"deadline":0}'), expiry: new Date(NOW) }),
      save: async () => {},
      delete: async () => {},
      now: async (): Promise<number> => {
        throw new Error("expected by the test");
      },
    };
    const manager = new SessionManager(failing, { idleTimeout: "20m" });
    const session = await manager.load("x".repeat(43));
    expect(manager.commitSettled(session)).toBe(undefined);
    await expect(manager.commit(session)).rejects.toThrow("expected by the test");
  });

  it("is not asked for its time by a session without a row that has nothing to store", async () => {
    let asked = 0;
    const failing = {
      find: async () => undefined,
      save: async () => {},
      delete: async () => {},
      now: async (): Promise<number> => {
        asked++;
        throw new Error("expected by the test");
      },
    };
    const manager = new SessionManager(failing, { idleTimeout: "20m" });
    const session = await manager.load();
    session.rememberMe(true);
    expect(manager.commitSettled(session)?.kind).toBe("nothing");
    expect(asked).toBe(0);
  });

  it("may tell its time by a promise of another realm", async () => {
    const memory = new MemoryStore({ cleanupInterval: 0, now: () => NOW });
    const bare: Store & { now: () => Promise<number> } = {
      find: (token) => memory.find(token),
      save: (token, data, expiry) => memory.save(token, data, expiry),
      delete: (token) => memory.delete(token),
      now: () => runInNewContext(`Promise.resolve(${NOW})`) as Promise<number>,
    };
    const manager = new SessionManager(bare, { codec: { ...scsJson, isSealed: true } });
    expect((await manager.load(await stored(manager))).get("key")).toBe(1);
  });

  it("must have the three", () => {
    for (const store of [undefined, null, {}, { find: () => {}, save: () => {} }]) {
      expect(() => new SessionManager(store as never)).toThrow(
        /store: expected an object with the functions find, save and delete/,
      );
    }
  });
});
