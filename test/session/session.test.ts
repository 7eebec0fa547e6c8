import { describe, expect, it } from "vitest";
import { AlreadyCommittedError, MemoryStore, SessionManager } from "../../src/index.ts";
import { GatedStore } from "../support/gated-store.ts";

const fresh = () => new SessionManager(new MemoryStore({ cleanupInterval: 0 })).load();

describe("Session", () => {
  it("speaks Map's words", async () => {
    const session = await fresh();
    expect(session.set("b", 1).set("a", "two")).toBe(session);
    expect([session.get("b"), session.get("a"), session.get("c")]).toEqual([1, "two", undefined]);
    expect([session.has("a"), session.has("c")]).toEqual([true, false]);
    expect(session.keys()).toEqual(["a", "b"]);
    expect(session.size).toBe(2);
    expect([session.delete("a"), session.delete("a")]).toEqual([true, false]);
    expect([session.pop("b"), session.pop("b")]).toEqual([1, undefined]);
    session.set("x", null);
    session.clear();
    expect([session.size, session.keys()]).toEqual([0, []]);
  });

  it("refuses what it can't hold at set, naming the key, and keeps what was there", async () => {
    const session = await fresh();
    session.set("key", "kept");
    const cycle: Record<string, unknown> = {};
    cycle["self"] = { cycle };
    const refused = [
      () => {},
      Symbol("s"),
      new Map(),
      new URL("http://x"),
      Promise.resolve(),
      cycle,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      undefined,
      { deep: [{ er: undefined }] },
    ];
    for (const value of refused) {
      expect(() => session.set("key", value)).toThrow(TypeError);
      expect(() => session.set("key", value)).toThrow(/"key"/);
      expect(() => session.update("key", () => value)).toThrow(/"key"/);
    }
    expect(() => session.set("key", { deep: [{ er: undefined }] })).toThrow(/deep\[0\]\.er/);
    expect(session.get("key")).toBe("kept");
    expect(() => session.set(7 as unknown as string, 1)).toThrow(/key: expected a string, got 7/);
  });

  it("keeps its own keys out of the application's hands", async () => {
    const session = await fresh();
    session.rememberMe(true);
    await session.login("ada");
    for (const key of ["__rememberMe", "__userId"]) {
      expect(() => session.set(key, "eve")).toThrow(/expected a key that pgstore does not reserve/);
      expect(() => session.delete(key)).toThrow(TypeError);
      expect(() => session.pop(key)).toThrow(TypeError);
      expect(() => session.update(key, () => "eve")).toThrow(TypeError);
      expect([session.get(key), session.has(key)]).toEqual([undefined, false]);
    }
    expect([session.keys(), session.size, session.userId]).toEqual([[], 0, "ada"]);
    session.set("key", 1);
    session.clear();
    expect(session.userId).toBe("ada");
    await expect(session.login("")).rejects.toThrow(/login: userId/);
    await expect(session.login(7 as never)).rejects.toThrow(/login: userId/);
    expect(() => session.rememberMe("yes" as never)).toThrow(/rememberMe/);
    expect(() => session.setDeadline(new Date(Number.NaN))).toThrow(/setDeadline/);
  });

  it("says where it stands", async () => {
    const manager = new SessionManager(new MemoryStore({ cleanupInterval: 0 }));
    const session = await manager.load();
    expect(session.status).toBe("new");
    session.set("key", 1);
    expect(session.status).toBe("modified");
    await manager.commit(session);
    expect(session.status).toBe("unmodified");
    const again = await manager.load(session.token);
    expect(again.status).toBe("unmodified");
    again.get("key");
    expect(again.status).toBe("unmodified");
    again.delete("absent");
    expect(again.status).toBe("unmodified");
    again.update("key", (n) => (n as number) + 1);
    expect(again.status).toBe("modified");
    await again.destroy();
    expect([again.status, again.token, again.id, again.size]).toEqual(["destroyed", undefined, undefined, 0]);
  });

  it("throws AlreadyCommittedError for changes after save and destroy", async () => {
    const manager = new SessionManager(new MemoryStore({ cleanupInterval: 0 }));
    for (const end of ["save", "destroy"] as const) {
      const session = await manager.load();
      session.set("key", 1);
      await session[end]();
      const changes = [
        () => session.set("key", 2),
        () => session.delete("key"),
        () => session.pop("key"),
        () => session.clear(),
        () => session.update("key", () => 2),
        () => session.rememberMe(true),
        () => session.setDeadline(new Date()),
      ];
      for (const change of changes) expect(change, end).toThrow(AlreadyCommittedError);
      for (const change of ["save", "destroy", "reset", "renewToken", "logout"] as const) {
        await expect(session[change](), end).rejects.toThrow(AlreadyCommittedError);
      }
      await expect(session.login("ada"), end).rejects.toThrow(AlreadyCommittedError);
      expect(session.get("key")).toBe(end === "save" ? 1 : undefined);
    }
  });

  it("throws it from the call of destroy on, whether there is a row to end or not", async () => {
    const manager = new SessionManager(new MemoryStore({ cleanupInterval: 0 }));
    const stored = await manager.load();
    await stored.set("key", 1).save();
    for (const session of [await manager.load(), await manager.load(stored.token)]) {
      const ends = [session.destroy(), session.logout()];
      expect(() => session.set("key", 2)).toThrow(AlreadyCommittedError);
      await Promise.all(ends);
      expect([session.status, session.size]).toEqual(["destroyed", 0]);
    }
  });

  it("begins no other session by a login in any turn until destroy resolves", async () => {
    for (const isStored of [false, true]) {
      const manager = new SessionManager(new MemoryStore());
      const session = await manager.load();
      if (isStored) {
        session.set("key", 1);
        await manager.commit(session);
      }
      const outcome = { isOver: false };
      const destroying = session.destroy().then(() => (outcome.isOver = true));
      const logins: Promise<unknown>[] = [];
      while (!outcome.isOver) {
        logins.push(session.login("ada").catch((error: unknown) => error));
        await Promise.resolve();
      }
      await destroying;
      expect(await Promise.all(logins)).toEqual(logins.map(() => expect.any(AlreadyCommittedError)));
      expect(session.userId).toBeUndefined();
    }
  });

  it("can be changed and saved again when a save has failed", async () => {
    const store = new GatedStore();
    const session = await new SessionManager(store).load();
    session.set("key", 1);
    store.failure = new Error("expected by the test");
    await expect(session.save()).rejects.toThrow("expected by the test");
    store.failure = undefined;
    session.set("key", 2);
    await session.save();
    expect(store.writes).toBe(1);
  });
});

describe("Session.get", () => {
  it("gives the stored object: changing it in place is setting it", async () => {
    const manager = new SessionManager(new MemoryStore({ cleanupInterval: 0 }));
    const session = await manager.load();
    session.set("cart", { items: [{ id: 1, at: new Date(0) }] });
    session.set("bytes", new Uint8Array([1, 2]));
    await manager.commit(session);
    const second = await manager.load(session.token);
    (second.get("cart") as { items: object[] }).items.push({ id: 2 });
    (second.get("bytes") as Uint8Array)[0] = 9;
    expect(second.status).toBe("modified");
    await manager.commit(second);
    const third = await manager.load(session.token);
    expect(third.get("cart")).toEqual({ items: [{ id: 1, at: new Date(0) }, { id: 2 }] });
    expect(third.get("bytes")).toEqual(new Uint8Array([9, 2]));
    expect((await manager.commit(third)).kind).toBe("nothing");
    expect(third.status).toBe("unmodified");
  });

  it("notices a change in place after an earlier commit, of what was set as well as of what was read", async () => {
    const manager = new SessionManager(new MemoryStore({ cleanupInterval: 0 }));
    const session = await manager.load();
    const list = [1];
    session.set("list", list);
    await manager.commit(session);
    list.push(2);
    await manager.commit(session);
    expect((await manager.load(session.token)).get("list")).toEqual([1, 2]);
    (session.get("list") as number[]).push(3);
    await manager.commit(session);
    expect((await manager.load(session.token)).get("list")).toEqual([1, 2, 3]);
  });

  it("throws at commit when an object was changed into what can't be stored, and stores nothing", async () => {
    const store = new GatedStore();
    const manager = new SessionManager(store);
    const session = await manager.load();
    session.set("cart", { items: [] as unknown[] });
    (session.get("cart") as { items: unknown[] }).items.push(() => {});
    await expect(manager.commit(session)).rejects.toThrow(/"cart"/);
    expect(store.writes).toBe(0);
  });
});

describe("Session.deadline", () => {
  it("is set at the first commit and never moves, unless it is set or the token renewed", async () => {
    let now = 1_800_000_000_000;
    const store = new MemoryStore({ cleanupInterval: 0, now: () => now });
    const manager = new SessionManager(store, { lifetime: "1h" });
    const session = await manager.load();
    session.set("key", 1);
    await manager.commit(session);
    const first = now + 3_600_000;
    expect(session.deadline.getTime()).toBe(first);
    now += 600_000;
    session.set("key", 2);
    await manager.commit(session);
    expect((await manager.load(session.token)).deadline.getTime()).toBe(first);
    await session.renewToken();
    expect(session.deadline.getTime()).toBe(first);
    await session.renewToken({ restart: true });
    expect(session.deadline.getTime()).toBe(now + 3_600_000);
    session.setDeadline(new Date(now + 5000));
    await manager.commit(session);
    expect((await manager.load(session.token)).deadline.getTime()).toBe(now + 5000);
    session.deadline.setTime(0);
    now += 4999;
    expect((await manager.load(session.token)).get("key")).toBe(2);
    now += 1;
    expect((await manager.load(session.token)).status).toBe("new");
  });

  it("of a session that is not stored yet can be set too", async () => {
    const now = 1_800_000_000_000;
    const store = new MemoryStore({ cleanupInterval: 0, now: () => now });
    const manager = new SessionManager(store);
    const session = await manager.load();
    expect(session.deadline).toEqual(new Date(now + 86_400_000));
    session.setDeadline(new Date(now + 5000));
    expect((await manager.commit(session)).kind).toBe("nothing");
    session.set("key", 1);
    await manager.commit(session);
    expect((await store.find(session.id ?? ""))?.expiry.getTime()).toBe(now + 5000);
  });
});
