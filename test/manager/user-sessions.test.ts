import { describe, expect, it } from "vitest";
import { MemoryStore, type OwnedPlace, type Store, SessionManager, type UserStore } from "../../src/index.ts";
import { detailsOf } from "../../src/lib/core/login-details.ts";

describe("listByUser", () => {
  it("asks a store for pages, and gives as many as it is asked for", async () => {
    const all = Array.from({ length: 2500 }, (_, n) => {
      const at = new Date(2500 - n);
      return { id: `row ${n}`, created: at, lastSeen: at, expiry: at, ...detailsOf({}) };
    });
    const asked: number[] = [];
    const users = Object.assign(Object.create(null) as UserStore, {
      list: async (_userId: string, limit: number, after?: OwnedPlace) => {
        asked.push(limit);
        const first = all.findIndex(({ id }) => id === after?.id) + 1;
        return all.slice(first, first + limit);
      },
    });
    const manager = new SessionManager(Object.assign(new MemoryStore({ cleanupInterval: 0 }), { users }));
    const expected: [limit: number | undefined, found: number, asked: number[]][] = [
      [undefined, 100, [100]],
      [1, 1, [1]],
      [1500, 1500, [1000, 500]],
      [2000, 2000, [1000, 1000]],
      [Number.POSITIVE_INFINITY, 2500, [1000, 1000, 1000]],
    ];
    for (const [limit, found, pages] of expected) {
      const listed = await manager.listByUser("alice", { limit });
      expect([listed.length, listed.at(-1)?.id, asked.splice(0)]).toEqual([found, `row ${found - 1}`, pages]);
    }
    for (const limit of [0, -1, 1.5, Number.NaN, "10"]) {
      await expect(manager.listByUser("alice", { limit: limit as number })).rejects.toThrow(/^limit: /);
    }
  });
});

describe("a store without users", () => {
  it("takes logins, and says so when it is asked for a user", async () => {
    const memory = new MemoryStore({ cleanupInterval: 0 });
    const store: Store = {
      find: (token) => memory.find(token),
      save: (token, data, expiry) => memory.save(token, data, expiry),
      delete: (token) => memory.delete(token),
    };
    const manager = new SessionManager<{ key: number }>(store);
    const session = await manager.load();
    await session.login("alice");
    await manager.commit(session);
    await session.renewToken();
    expect((await manager.load(session.token)).userId).toBe("alice");
    await expect(manager.listByUser("alice")).rejects.toThrow("listByUser: this store keeps no sessions by user");
    await expect(manager.destroyByUser("alice")).rejects.toThrow(TypeError);
  });
});
