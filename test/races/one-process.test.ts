import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ConditionalStore, MemoryStore, PgStore, type Session, SessionManager } from "../../src/index.ts";
import { openPglite } from "../support/pglite.ts";

type Data = Record<string, unknown>;

/** What the races between processes show, for stores that only one process can have: two managers in it. */
function races(name: string, open: () => Promise<{ store: ConditionalStore; close: () => Promise<void> }>): void {
  describe(`parallel requests on ${name}`, () => {
    let opened: Awaited<ReturnType<typeof open>>;
    let managers: [SessionManager<Data>, SessionManager<Data>];
    beforeAll(async () => {
      opened = await open();
      managers = [new SessionManager<Data>(opened.store), new SessionManager<Data>(opened.store)];
    });
    afterAll(() => opened.close());

    const begin = async (): Promise<string> => {
      const session = await managers[0].load();
      session.set("first", 1);
      await managers[0].commit(session);
      return session.token ?? "";
    };
    /** Loads the session as often, in both managers by turns, then changes and commits all at once. */
    const race = async (token: string, count: number, change: (session: Session<Data>, n: number) => unknown) => {
      const turns = Array.from({ length: count }, (_, n) => managers[n % 2 === 0 ? 0 : 1]);
      const sessions = await Promise.all(turns.map((manager) => manager.load(token)));
      return Promise.all(
        turns.map(async (manager, n) => {
          const session = sessions[n] as Session<Data>;
          await change(session, n);
          return manager.commit(session);
        }),
      );
    };

    it("lose none of 100 keys, and count to 100", async () => {
      const token = await begin();
      await race(token, 100, (session, n) => session.set(`key${n}`, n));
      await race(token, 100, (session) => session.update("n", (n) => ((n as number | undefined) ?? 0) + 1));
      const session = await managers[1].load(token);
      expect(session.size).toBe(102);
      expect(session.get("n")).toBe(100);
    });

    it("leave one successor of parallel renewals", async () => {
      const token = await begin();
      const results = await race(token, 10, (session) => session.renewToken());
      expect(results.filter((result) => result.kind === "set")).toHaveLength(1);
      expect((await managers[0].load(token)).status).toBe("new");
    });

    it("never bring back what one of them destroys", async () => {
      const token = await begin();
      const results = await race(token, 20, (session, n) => (n === 7 ? session.destroy() : session.set("late", n)));
      expect(results.filter((result) => result.kind === "set")).toEqual([]);
      expect((await managers[1].load(token)).size).toBe(0);
    });
  });
}

races("PGlite", async () => {
  const db = await openPglite();
  const store = new PgStore(db, { cleanupInterval: 0 });
  await store.migrate();
  return { store, close: () => db.close() };
});
races("memory", async () => {
  const store = new MemoryStore({ cleanupInterval: 0 });
  return { store, close: () => store.close() };
});
