import { describe, expect, it } from "vitest";
import { AlreadyCommittedError, SessionManager, StoreUnavailableError } from "../../src/index.ts";
import { GatedStore } from "../support/gated-store.ts";

type Data = Record<string, unknown>;
const down = new StoreUnavailableError("expected by the test");

function lazily() {
  const store = new GatedStore();
  const manager = new SessionManager<Data, true>(store, { lazy: true });
  const request = {};
  const open = (cookie?: string): undefined => void manager.open(request, { cookie });
  return { store, manager, request, open };
}

/** A session with a row, and its cookie. */
async function stored(store: GatedStore, values: Data = { first: 1 }) {
  const session = await new SessionManager<Data>(store).load();
  for (const [key, value] of Object.entries(values)) session.set(key, value);
  await session.save();
  return { session, token: session.token ?? "", cookie: `session=${session.token}` };
}

describe("a lazy session that is first awaited after the response's head", () => {
  it("refuses changes, says what to do, and makes no row", async () => {
    const { store, manager, request, open } = lazily();
    open();
    expect(manager.close(request, {})).toMatchObject({ kind: "nothing", vary: undefined });
    const session = await manager.sessionOf(request);
    expect(() => session.set("key", 1)).toThrow(AlreadyCommittedError);
    expect(() => session.set("key", 1)).toThrow(/await a lazy session and make changes before the first byte/);
    for (const change of ["save", "destroy", "reset", "renewToken"] as const) {
      await expect(session[change](), change).rejects.toThrow(AlreadyCommittedError);
    }
    await expect(session.login("ada")).rejects.toThrow(AlreadyCommittedError);
    expect((await manager.commit(session)).kind).toBe("nothing");
    expect(await store.count()).toBe(0);
  });

  it("can be read", async () => {
    const { store, manager, request, open } = lazily();
    open((await stored(store)).cookie);
    void manager.close(request, {});
    const session = await manager.sessionOf(request);
    expect(session.get("first")).toBe(1);
    expect(() => session.set("first", 2)).toThrow(AlreadyCommittedError);
  });
});

describe("a session whose response's head has left", () => {
  async function closed(failure?: Error) {
    const store = new GatedStore();
    const manager = new SessionManager<Data>(store);
    const request = {};
    void manager.open(request, {});
    const session = manager.sessionOf(request);
    session.set("key", 1);
    store.failure = failure;
    const result = await Promise.resolve(manager.close(request, {})).catch((error: unknown) => error);
    store.failure = undefined;
    return { store, manager, request, session, result };
  }

  it("takes over no other session, which stays", async () => {
    const { store, manager, session } = await closed();
    const other = await stored(store);
    await expect(manager.mergeSession(session, other.token)).rejects.toThrow(/^mergeSession: .* before the first byte/);
    expect((await manager.load(other.token)).get("first")).toBe(1);
    expect(session.has("first")).toBe(false);
  });

  it("makes no row of which nobody has the token, when the commit had failed", async () => {
    const { store, manager, session, result } = await closed(down);
    expect(result).toBe(down);
    await expect(manager.commit(session)).rejects.toThrow(AlreadyCommittedError);
    expect(await store.count()).toBe(0);
  });

  it("may still be committed by hand where it has a row", async () => {
    const { manager, session } = await closed();
    const list: number[] = [];
    const again = await manager.load(session.token);
    again.set("list", list);
    await manager.commit(again, { seal: true });
    list.push(1);
    await manager.commit(again);
    expect((await manager.load(session.token)).get("list")).toEqual([1]);
  });

  it("takes over no other session either that is still being looked up", async () => {
    const store = new GatedStore();
    const manager = new SessionManager<Data>(store);
    const other = await stored(store);
    const request = {};
    void manager.open(request, {});
    const session = manager.sessionOf(request);
    const merging = manager.mergeSession(session, other.token);
    void manager.close(request, {});
    await expect(merging).rejects.toThrow(AlreadyCommittedError);
    expect([session.has("first"), (await manager.load(other.token)).get("first")]).toEqual([false, 1]);
  });

  it("does not log in by a login that waited for another commit", async () => {
    const store = new GatedStore();
    const manager = new SessionManager<Data>(store);
    const request = {};
    await manager.open(request, { cookie: (await stored(store)).cookie });
    const session = manager.sessionOf(request);
    session.set("key", 1);
    const { arrived, release } = store.hold();
    const first = manager.commit(session);
    await arrived;
    const login = session.login("ada").catch((error: unknown) => error);
    const closing = manager.close(request, {});
    release();
    await Promise.all([first, closing]);
    expect(await login).toBeInstanceOf(AlreadyCommittedError);
    expect((await manager.load(session.token)).userId).toBe(undefined);
  });

  it("stays sealed when a save that was under way fails", async () => {
    const store = new GatedStore();
    const manager = new SessionManager<Data>(store);
    const request = {};
    void manager.open(request, {});
    const session = manager.sessionOf(request);
    session.set("key", 1);
    const { arrived, release } = store.hold();
    const saving = session.save().catch((error: unknown) => error);
    await arrived;
    const closing = Promise.resolve(manager.close(request, {})).catch((error: unknown) => error);
    store.failure = down;
    release();
    expect([await saving, await closing]).toEqual([down, down]);
    expect(() => session.set("key", 2)).toThrow(/before the first byte/);
  });
});

describe("SessionManager.committed", () => {
  const context = { tls: true };

  it("says nothing of a request without a session, or whose lazy session nobody has asked for", () => {
    const { manager, request, open } = lazily();
    expect(manager.committed({}, context)).toMatchObject({ kind: "nothing", vary: undefined });
    open();
    expect(manager.committed(request, context)).toMatchObject({ kind: "nothing", vary: undefined });
  });

  it("says that the answer depends on a session that could not be loaded", async () => {
    const { store, manager, request, open } = lazily();
    open(`session=${"x".repeat(43)}`);
    store.lookUp = () => Promise.reject(down);
    await expect(manager.sessionOf(request)).rejects.toBe(down);
    expect(await manager.close(request, context)).toMatchObject({ kind: "nothing", vary: "Cookie" });
    expect(manager.committed(request, context)).toMatchObject({ kind: "nothing", vary: "Cookie" });
  });

  for (const lazy of [false, true]) {
    it(`tells once what was stored before the commit failed${lazy ? ", of a lazy session too" : ""}`, async () => {
      const store = new GatedStore();
      const manager = new SessionManager<Data, boolean>(store, { lazy });
      const request = {};
      await manager.open(request, { cookie: (await stored(store)).cookie });
      const session = await Promise.resolve(manager.sessionOf(request));
      await session.login("ada");
      session.set("key", 1);
      store.failure = down;
      await expect(Promise.resolve(manager.close(request, context))).rejects.toBe(down);
      const told = manager.committed(request, context);
      expect(told).toMatchObject({ kind: "set", vary: "Cookie" });
      expect(told.setCookie).toContain(`session=${session.token}; `);
      expect(manager.committed(request, context)).toMatchObject({ kind: "nothing", vary: "Cookie" });
      expect((await new SessionManager<Data>(store).load(session.token)).userId).toBe("ada");
    });
  }

  it("never throws, and commits nothing", async () => {
    const store = new GatedStore();
    const manager = new SessionManager<Data>(store);
    const request = {};
    void manager.open(request, {});
    const session = manager.sessionOf(request);
    session.set("key", 1);
    expect(manager.committed(request, context).kind).toBe("nothing");
    await session.save();
    const tls = (): boolean => {
      throw new Error("expected by the test");
    };
    expect(manager.committed(request, { tls }).setCookie).toContain("Secure");
    expect(store.writes).toBe(1);
  });
});

describe("SessionManager.mergeSession", () => {
  it("leaves the other session alone when the request's own turns out to have ended", async () => {
    const store = new GatedStore();
    const manager = new SessionManager<Data>(store);
    const [mine, other] = [await stored(store), await stored(store, { basket: "full" })];
    const session = await manager.load(mine.token);
    await manager.destroyById(mine.session.id ?? "");
    await manager.mergeSession(session, other.token);
    expect(session.status).toBe("destroyed");
    expect((await manager.load(other.token)).get("basket")).toBe("full");
  });
});

describe("Vary", () => {
  it("is there for a token that is malformed", async () => {
    const manager = new SessionManager(new GatedStore());
    expect((await manager.commit(await manager.load("bad"))).vary).toBe("Cookie");
    expect((await manager.commit(await manager.load())).vary).toBe(undefined);
  });
});
