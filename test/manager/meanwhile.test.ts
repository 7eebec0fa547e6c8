import { describe, expect, it } from "vitest";
import { AlreadyCommittedError, SessionManager, StoreUnavailableError } from "../../src/index.ts";
import { GatedStore } from "../support/gated-store.ts";

function setup() {
  const store = new GatedStore();
  const manager = new SessionManager<Record<string, unknown>>(store);
  const other = new SessionManager<Record<string, unknown>>(store);
  const stored = async (token: string | undefined, key: string) => (await other.load(token)).get(key);
  /** A session with a row. */
  const begun = async () => {
    const session = await manager.load();
    session.set("first", 1);
    await manager.commit(session);
    return session;
  };
  return { store, manager, other, stored, begun };
}

describe("an object that was set and is changed while the write is under way", () => {
  it("goes into the next commit", async () => {
    const { store, manager, stored, begun } = setup();
    const session = await begun();
    const object = { n: 0 };
    session.set("object", object);
    const { arrived, release } = store.hold();
    const renewed = session.renewToken();
    await arrived;
    object.n = 1;
    release();
    await renewed;
    await manager.commit(session);
    expect(await stored(session.token, "object")).toEqual({ n: 1 });
  });
});

describe("an update that changes what it is given", () => {
  it("takes effect once, though it is made again after a conflict", async () => {
    const { manager, other, stored, begun } = setup();
    const session = await begun();
    session.set("list", []);
    session.update("list", (list) => {
      (list as number[]).push(1);
      return list;
    });
    const rival = await other.load(session.token);
    rival.set("first", 2);
    await other.commit(rival);
    await manager.commit(session);
    expect(await stored(session.token, "list")).toEqual([1]);
    expect(await stored(session.token, "first")).toBe(2);
  });
});

describe("a destroy that failed", () => {
  it("can be tried again, and then really ends the session", async () => {
    const { store, stored, begun } = setup();
    const session = await begun();
    const { token } = session;
    store.failure = new StoreUnavailableError("expected by the test");
    await expect(session.destroy()).rejects.toBe(store.failure);
    store.failure = undefined;
    await session.destroy();
    expect(await stored(token, "first")).toBe(undefined);
    expect(() => session.set("key", 2)).toThrow(AlreadyCommittedError);
  });
});

describe("rememberMe of a visitor who stores nothing", () => {
  it("is no reason for a row or a cookie", async () => {
    const { store, manager } = setup();
    const session = await manager.load();
    session.rememberMe(true);
    expect((await manager.commit(session)).kind).toBe("nothing");
    expect(store.writes).toBe(0);
    session.set("key", 1);
    const { setCookie } = await manager.commit(session);
    expect(setCookie).toMatch(/Max-Age/);
  });
});

describe("a commit that is under way", () => {
  it("keeps a change that was made meanwhile for the next one", async () => {
    const { store, manager, stored } = setup();
    const session = await manager.load();
    session.set("a", 1);
    const { arrived, release } = store.hold();
    const first = manager.commit(session);
    await arrived;
    session.delete("a");
    session.set("b", 2);
    expect(manager.commitSettled(session)).toBe(undefined);
    release();
    await first;
    await manager.commit(session);
    expect([await stored(session.token, "a"), await stored(session.token, "b")]).toEqual([undefined, 2]);
  });

  it("does not take a deadline that was set meanwhile for the one that it writes", async () => {
    const { store, manager, other, begun } = setup();
    const session = await begun();
    session.set("a", 2);
    const { arrived, release } = store.hold();
    const first = manager.commit(session);
    await arrived;
    const deadline = new Date(Date.now() + 60_000);
    session.setDeadline(deadline);
    release();
    await first;
    await manager.commit(session);
    expect((await other.load(session.token)).deadline.getTime()).toBe(deadline.getTime());
  });
});

describe("a commit that waits for a login, which finds the session ended and begins another", () => {
  const raced = async () => {
    const { manager, other, begun } = setup();
    const { token, id = "" } = await begun();
    const [login, late] = await Promise.all([manager.load(token), manager.load(token)]);
    await other.destroyById(id);
    return { manager, login, late };
  };

  it("shows nothing of that one", async () => {
    const { login, late } = await raced();
    login.set("secret", "ada's");
    await Promise.all([login.login("ada"), late.save()]);
    expect(login.userId).toBe("ada");
    expect(late.userId).toBeUndefined();
    expect(late.has("secret")).toBe(false);
  });

  it("runs no step of an update on its values", async () => {
    const { manager, login, late } = await raced();
    login.set("n", "ada's");
    const seen: unknown[] = [];
    late.update("n", (n) => seen.push(n));
    await Promise.all([login.login("ada"), manager.commit(late)]);
    expect(late.status).toBe("destroyed");
    expect(seen).toEqual([undefined]);
  });
});
