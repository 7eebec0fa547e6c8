import { describe, expect, it } from "vitest";
import { MemoryStore, type Session, SessionManager } from "../../src/index.ts";
import { testClock } from "../../src/testing.ts";

describe("MemoryStore", () => {
  it("refuses wrong options", () => {
    expect(() => new MemoryStore({ cleanupInterval: -1 })).toThrow(/^cleanupInterval: /);
    expect(() => new MemoryStore({ now: 1 as never })).toThrow(/^now: /);
  });

  it("lists the later of two logins within one millisecond first", async () => {
    const store = new MemoryStore({ cleanupInterval: 0, now: () => 1_000_000 });
    const manager = new SessionManager(store, { maxSessionsPerUser: 2 });
    const logins: Session[] = [];
    for (let n = 0; n < 8; n++) {
      const session = await manager.load();
      await session.login("alice");
      await manager.commit(session);
      logins.unshift(session);
    }
    const listed = await manager.listByUser("alice");
    expect(listed.map(({ id }) => id)).toEqual(logins.slice(0, 2).map(({ id }) => id));
  });

  it("keeps ended sessions ended when its clock is set back", async () => {
    const clock = testClock();
    const store = new MemoryStore({ cleanupInterval: 0, now: clock.now });
    const manager = new SessionManager(store, { maxSessionsPerUser: 1 });
    const session = await manager.load();
    await session.login("alice");
    await manager.commit(session);
    for (let n = 0; n < 4; n++) {
      const earlier = session.id ?? "";
      await session.login("alice");
      clock.set(clock.now() - 60_000);
      expect(await store.find(earlier)).toBeUndefined();
      expect(await store.lookUp(earlier)).toBe("replaced");
      expect((await manager.listByUser("alice")).map(({ id }) => id)).toEqual([session.id]);
      expect((await manager.load(session.token)).userId).toBe("alice");
    }
    await session.destroy();
    clock.set(0);
    expect(await store.count()).toBe(0);
  });

  it("removes expired rows at the interval", async () => {
    const store = new MemoryStore({ cleanupInterval: 5 });
    await store.save("expired", new Uint8Array([1]), new Date(0));
    await expect.poll(() => store.create("expired", new Uint8Array([2]), new Date(0))).toBe(true);
    await store.close();
  });
});
