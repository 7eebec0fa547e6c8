import { describe, expect, it } from "vitest";
import {
  MemoryStore,
  type Session,
  SessionManager,
  SessionMissingError,
  type SessionOptions,
} from "../../src/index.ts";
import { idOf } from "../../src/lib/core/token.ts";
import { nodeHandler } from "../../src/node.ts";
import { cookieOf, serve, type Served } from "../support/serve.ts";

const MINUTE = 60_000;

function setup(options?: SessionOptions) {
  const clock = { now: 1_800_000_000_000 };
  const store = new MemoryStore({ cleanupInterval: 0, now: () => clock.now });
  return { clock, store, manager: new SessionManager(store, options) };
}

/** The application of SCS's own tests. */
async function application(manager: SessionManager): Promise<Served> {
  const routes: Record<string, (session: Session) => unknown> = {
    "/put": (session) => session.set("foo", "bar"),
    "/get": (session) => session.get("foo"),
    "/destroy": (session) => session.destroy(),
    "/renew": (session) => session.renewToken(),
    "/put-rememberMe-true": (session) => {
      session.set("foo", "bar");
      session.rememberMe(true);
    },
    "/put-rememberMe-false": (session) => {
      session.set("foo", "bar");
      session.rememberMe(false);
    },
  };
  return serve(
    nodeHandler(manager, async (request, response) => {
      const value = await routes[request.url ?? ""]?.(manager.sessionOf(request));
      response.end(typeof value === "string" ? value : "OK");
    }),
  );
}

/** Ported from session_test.go. */
describe("the sessions of SCS v2", () => {
  it("TestEnable: the session goes on from request to request, under one token", async () => {
    const { manager } = setup();
    const app = await application(manager);
    const first = await app.get("/put");
    expect(first.headers.get("Vary")).toBe("Cookie");
    // differs: not no-cache="Set-Cookie", which caches no longer heed.
    expect(first.headers.get("Cache-Control")).toBe("private, no-store");
    const cookie = cookieOf(first);
    expect(await (await app.get("/get", cookie)).text()).toBe("bar");
    // differs: the client has the cookie; it is not set again, and never to another token.
    expect(cookieOf(await app.get("/put", cookie))).toBe(undefined);
    expect(await (await app.get("/get", cookie)).text()).toBe("bar");
    await app.close();
  });

  it("TestLifetime: ends when it is over", async () => {
    const { clock, manager } = setup({ lifetime: 500 });
    const app = await application(manager);
    const cookie = cookieOf(await app.get("/put"));
    expect(await (await app.get("/get", cookie)).text()).toBe("bar");
    clock.now += 600;
    expect(await (await app.get("/get", cookie)).text()).toBe("OK");
    await app.close();
  });

  it("TestIdleTimeout: each request puts the end off", async () => {
    const { clock, manager } = setup({ idleTimeout: 200, lifetime: 1000 });
    const app = await application(manager);
    const cookie = cookieOf(await app.get("/put"));
    for (let n = 0; n < 3; n++) {
      clock.now += 150;
      expect(await (await app.get("/get", cookie)).text()).toBe("bar");
    }
    clock.now += 250;
    expect(await (await app.get("/get", cookie)).text()).toBe("OK");
    await app.close();
  });

  it("TestDestroy: clears the cookie, and the data are gone", async () => {
    const { manager } = setup();
    const app = await application(manager);
    const cookie = cookieOf(await app.get("/put"));
    const [clear = ""] = (await app.get("/destroy", cookie)).headers.getSetCookie();
    expect(clear).toMatch(/^session=; Max-Age=0; .*Expires=Thu, 01 Jan 1970 00:00:01 GMT/);
    expect(await (await app.get("/get", cookie)).text()).toBe("OK");
    await app.close();
  });

  it("TestRenewToken: another token, the same data", async () => {
    const { manager } = setup();
    const app = await application(manager);
    const cookie = cookieOf(await app.get("/put"));
    const renewed = cookieOf(await app.get("/renew", cookie));
    expect(renewed).toMatch(/^session=[\w-]{43}$/);
    expect(renewed).not.toBe(cookie);
    expect(await (await app.get("/get", renewed)).text()).toBe("bar");
    expect(await (await app.get("/get", cookie)).text()).toBe("OK");
    await app.close();
  });

  it("TestRememberMe: decides whether the cookie outlives the browser", async () => {
    // differs: persist is false unless chosen.
    const { manager } = setup({ cookie: { persist: false } });
    const app = await application(manager);
    const first = await app.get("/put-rememberMe-true");
    expect(first.headers.getSetCookie()[0]).toMatch(/Max-Age=.*Expires=/);
    const second = await app.get("/put-rememberMe-false", cookieOf(first));
    expect(second.headers.getSetCookie()[0]).not.toMatch(/Max-Age=|Expires=/);
    await app.close();
  });

  it("TestIterate: visits every session", async () => {
    const { manager } = setup();
    for (let n = 0; n < 3; n++) {
      const session = await manager.load();
      session.set("foo", `bar${n}`);
      await manager.commit(session);
    }
    const seen: unknown[] = [];
    for await (const session of manager.iterate()) {
      seen.push(session.get("foo"));
      if (session.get("foo") === "bar1") await session.destroy();
    }
    expect(new Set(seen)).toEqual(new Set(["bar0", "bar1", "bar2"]));
    const left: unknown[] = [];
    for await (const session of manager.iterate()) left.push(session.get("foo"));
    expect(new Set(left)).toEqual(new Set(["bar0", "bar2"]));
  });
});

/** Ported from data_test.go. */
describe("the session data of SCS v2", () => {
  it("TestSessionDataFromContext: no session where no middleware ran", () => {
    const { manager } = setup();
    for (const request of [{}, undefined, null, 5] as object[]) {
      expect(() => manager.sessionOf(request)).toThrow(SessionMissingError);
      expect(manager.has(request)).toBe(false);
    }
  });

  it("TestSessionManager_Load: a new session without a token and for an unknown one, the stored one otherwise", async () => {
    const { manager } = setup();
    expect((await manager.load()).status).toBe("new");
    expect((await manager.load("A".repeat(43))).status).toBe("new");
    const session = await manager.load();
    session.set("foo", "bar");
    await manager.commit(session);
    const loaded = await manager.load(session.token);
    expect([loaded.get("foo"), loaded.token]).toEqual(["bar", session.token]);
  });

  it("TestSessionManager_Load: errors of the store come through; data that can't be read is no session, unlike in SCS", async () => {
    const { store, manager } = setup();
    const token = "A".repeat(43);
    await store.save(idOf(token), new Uint8Array([1]), new Date(1_800_000_000_000 + MINUTE));
    expect((await manager.load(token)).status).toBe("new");
    store.find = async () => {
      throw new Error("expected by the test");
    };
    await expect(manager.load(token)).rejects.toThrow("expected by the test");
  });

  it("TestSessionManager_Commit: stores under the token's hash until the deadline, or the idle timeout if that is sooner", async () => {
    for (const [options, left] of [
      [{ lifetime: "1h" }, 60],
      [{ lifetime: "1h", idleTimeout: "30m" }, 30],
    ] as const) {
      const { clock, store, manager } = setup(options);
      const session = await manager.load();
      session.set("foo", "bar");
      const { kind } = await manager.commit(session);
      expect(kind).toBe("set");
      expect((await store.find(idOf(session.token ?? "")))?.expiry.getTime()).toBe(clock.now + left * MINUTE);
    }
  });

  it("TestSessionManager_Commit: errors of the store and of the codec come through", async () => {
    const { store } = setup();
    const codec = {
      encode: () => {
        throw new Error("expected of the codec");
      },
      decode: () => ({ values: new Map(), deadline: new Date() }),
    };
    const failing = await new SessionManager(store, { codec }).load();
    failing.set("foo", "bar");
    await expect(new SessionManager(store, { codec }).commit(failing)).rejects.toThrow("expected of the codec");
    store.create = async () => {
      throw new Error("expected of the store");
    };
    const session = await new SessionManager(store).load();
    session.set("foo", "bar");
    await expect(new SessionManager(store).commit(session)).rejects.toThrow("expected of the store");
  });

  it("TestPut, TestGet, TestPop, TestRemove, TestClear, TestExists, TestKeys: as a Map's", async () => {
    const session = await setup().manager.load();
    session.set("foo", "bar");
    expect([session.get("foo"), session.status]).toEqual(["bar", "modified"]);
    expect([session.get("baz"), session.pop("baz"), session.has("baz")]).toEqual([undefined, undefined, false]);
    expect([session.pop("foo"), session.pop("foo")]).toEqual(["bar", undefined]);
    session.set("foo2", "bar").set("foo1", "bar");
    expect(session.keys()).toEqual(["foo1", "foo2"]);
    session.delete("foo1");
    session.delete("nothing");
    expect(session.has("foo1")).toBe(false);
    session.clear();
    expect(session.keys()).toEqual([]);
  });

  it("TestClear, TestRemove, TestPop: what is not there changes nothing", async () => {
    const { manager } = setup();
    const session = await manager.load();
    session.set("foo", "bar");
    await manager.commit(session);
    const loaded = await manager.load(session.token);
    loaded.delete("nothing");
    loaded.pop("nothing");
    expect(loaded.status).toBe("unmodified");
    loaded.clear();
    expect(loaded.status).toBe("modified");
    await manager.commit(loaded);
    loaded.clear();
    expect(loaded.status).toBe("unmodified");
  });

  it("TestGetString … TestGetTime, TestPopString … TestPopTime: each value comes back as what it was", async () => {
    const { manager } = setup();
    const values = { s: "bar", b: true, i: 123, f: 123.456, y: new Uint8Array([1]), t: new Date(0) };
    const session = await manager.load();
    for (const [key, value] of Object.entries(values)) session.set(key, value);
    await manager.commit(session);
    const loaded = await manager.load(session.token);
    for (const [key, value] of Object.entries(values)) {
      expect(loaded.get(key)).toEqual(value);
      expect(loaded.pop(key)).toEqual(value);
      expect(loaded.has(key)).toBe(false);
    }
  });

  it("TestStatus: unmodified, modified, destroyed", async () => {
    const { manager } = setup();
    const session = await manager.load();
    // differs: one that has no row yet is "new".
    expect(session.status).toBe("new");
    session.set("foo", "bar");
    expect(session.status).toBe("modified");
    await manager.commit(session);
    const loaded = await manager.load(session.token);
    expect(loaded.status).toBe("unmodified");
    loaded.pop("foo");
    expect(loaded.status).toBe("modified");
    await loaded.destroy();
    expect(loaded.status).toBe("destroyed");
  });

  it("HashTokenInStore: the store's key is the hash, or the token when that is chosen", async () => {
    for (const hashTokens of [true, false]) {
      const { store, manager } = setup({ hashTokens });
      const session = await manager.load();
      session.set("foo", "bar");
      await manager.commit(session);
      const token = session.token ?? "";
      expect(await store.find(hashTokens ? idOf(token) : token)).toBeDefined();
      expect(await store.find(hashTokens ? token : idOf(token))).toBe(undefined);
    }
  });
});
