import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { MemoryStore, type Session, SessionManager, StoreUnavailableError } from "../../src/index.ts";
import { listen } from "../../src/lib/core/events.ts";
import { deferred } from "../support/barrier.ts";

type AnySession = Session<Record<string, unknown>>;

const lost = new StoreUnavailableError("expected by the test");

/**
 * A memory store whose renewals go as the test says: they fail before they have done anything, or are carried out and their answer
 * is lost.
 */
class Unreliable extends MemoryStore {
  plan: ("fail" | "lose" | "pass")[] = [];
  trimming: Error | undefined;

  constructor() {
    super({ cleanupInterval: 0 });
    const trim = this.users.trim.bind(this.users);
    this.users.trim = async (...args) => {
      if (this.trimming !== undefined) throw this.trimming;
      return trim(...args);
    };
  }

  override async renew(...args: Parameters<MemoryStore["renew"]>): Promise<boolean> {
    const how = this.plan.shift() ?? "pass";
    if (how === "fail") throw lost;
    const done = await super.renew(...args);
    if (how === "lose") throw lost;
    return done;
  }
}

async function begun(store = new Unreliable()) {
  const manager = new SessionManager<Record<string, unknown>>(store, { maxSessionsPerUser: 2 });
  const session = await manager.load();
  session.set("basket", ["book"]);
  await manager.commit(session);
  const stored = async (token: string | undefined) => {
    const again = await manager.load(token);
    return { userId: again.userId, basket: again.get("basket"), flash: again.get("flash") };
  };
  return { store, manager, session: await manager.load(session.token), stored };
}

const RENEWALS: Record<string, (session: AnySession) => Promise<void>> = {
  "login without the values": (session) => session.login("ada", { keep: false }),
  login: (session) => session.login("ada"),
  renewToken: (session) => session.renewToken(),
  reset: (session) => session.reset(),
};

describe("a renewal that failed", () => {
  for (const [name, renew] of Object.entries(RENEWALS)) {
    it(`has not happened when the session is committed, what was set beside it has: ${name}`, async () => {
      for (const when of ["before", "after"]) {
        const { store, manager, session, stored } = await begun();
        const { token, deadline } = session;
        store.plan = ["fail"];
        if (when === "before") session.set("flash", "not in");
        await expect(renew(session)).rejects.toBe(lost);
        if (when === "after") session.set("flash", "not in");
        expect([session.userId, session.get("basket"), session.token]).toEqual([undefined, ["book"], token]);
        expect((await manager.commit(session)).kind).toBe("nothing");
        expect(await stored(token)).toEqual({ userId: undefined, basket: ["book"], flash: "not in" });
        expect((await manager.load(token)).deadline).toEqual(deadline);
        expect(await store.count()).toBe(1);
      }
    });

    it(`whose answer was lost is found at the commit, and has not happened either: ${name}`, async () => {
      for (const flash of ["not in", undefined]) {
        const { store, manager, session, stored } = await begun();
        const { token, deadline } = session;
        store.plan = ["lose"];
        await expect(renew(session)).rejects.toBe(lost);
        if (flash !== undefined) session.set("flash", flash);
        const result = manager.commitSettled(session) ?? (await manager.commit(session));
        expect(result.kind).toBe("set");
        expect(session.token).not.toBe(token);
        expect(await stored(token)).toEqual({ userId: undefined, basket: undefined, flash: undefined });
        expect(await stored(session.token)).toEqual({ userId: undefined, basket: ["book"], flash });
        expect((await manager.load(session.token)).deadline).toEqual(deadline);
        expect([await store.count(), await manager.listByUser("ada")]).toEqual([1, []]);
      }
    });

    it(`leaves the objects that were read before to the session: ${name}`, async () => {
      for (const how of ["fail", "lose"] as const) {
        const { store, manager, session, stored } = await begun();
        const basket = session.get("basket") as string[];
        store.plan = [how];
        const failing = renew(session);
        if (how === "lose") basket.push("pen");
        await expect(failing).rejects.toBe(lost);
        basket.push("ink");
        await manager.commit(session);
        expect((await stored(session.token)).basket).toEqual(basket);
      }
    });

    it(`whose answer was lost loses nothing when it is tried again: ${name}`, async () => {
      const { store, manager, session, stored } = await begun();
      store.plan = ["lose", "lose"];
      await expect(renew(session)).rejects.toBe(lost);
      await expect(renew(session)).rejects.toBe(lost);
      await renew(session);
      session.set("flash", "in");
      await manager.commit(session);
      const isLogin = name.startsWith("login");
      const basket = name === "reset" || name.endsWith("values") ? undefined : ["book"];
      expect(await stored(session.token)).toEqual({ userId: isLogin ? "ada" : undefined, basket, flash: "in" });
      expect([await store.count(), (await manager.listByUser("ada")).length]).toEqual([1, isLogin ? 1 : 0]);
    });
  }

  it("whose session then ends elsewhere drops what is set afterwards, and tells", async () => {
    const { store, manager, session } = await begun();
    const gone: unknown[] = [];
    onTestFinished(listen({ gone: (event) => gone.push(event) }));
    store.plan = ["lose"];
    await expect(session.login("ada")).rejects.toBe(lost);
    const { renew, create } = store;
    store.renew = async (id, ...args) => {
      await store.terminate(id, "revoked");
      store.create = () => Promise.reject(lost);
      return renew.call(store, id, ...args);
    };
    await expect(session.login("bob")).rejects.toBe(lost);
    Object.assign(store, { renew, create });
    gone.length = 0;
    session.set("flash", "late");
    expect((await manager.commit(session)).kind).toBe("nothing");
    expect([session.status, gone.length, await store.count()]).toEqual(["destroyed", 1, 0]);
  });

  it("is taken back before a commit that waits for it begins", async () => {
    const { store, manager, session, stored } = await begun();
    const { token } = session;
    store.plan = ["fail"];
    session.set("flash", "beside it");
    const login = session.login("ada").catch((error: unknown) => error);
    const [failure, result] = await Promise.all([login, manager.commit(session)]);
    expect([failure, result.kind]).toEqual([lost, "nothing"]);
    expect(await stored(token)).toEqual({ userId: undefined, basket: ["book"], flash: "beside it" });
  });

  it("leaves a user who was logged in already", async () => {
    for (const how of ["fail", "lose"] as const) {
      const { store, manager, session } = await begun();
      await session.login("ada");
      store.plan = [how];
      await expect(session.login("bob")).rejects.toBe(lost);
      await manager.commit(session);
      const [ada, bob] = [await manager.listByUser("ada"), await manager.listByUser("bob")];
      expect([(await manager.load(session.token)).userId, ada.length, bob.length]).toEqual(["ada", 1, 0]);
    }
  });

  it("whose answer was lost does not survive a destroy", async () => {
    const { store, session } = await begun();
    store.plan = ["lose"];
    await expect(session.login("ada")).rejects.toBe(lost);
    await session.destroy();
    expect(await store.count()).toBe(0);
  });

  it("does not survive a destroy either when it is carried out after we have looked", async () => {
    const { store, session } = await begun();
    store.plan = ["lose"];
    await expect(session.login("ada")).rejects.toBe(lost);
    const lookUp = store.lookUp.bind(store);
    store.lookUp = async () => {
      store.lookUp = lookUp;
      return undefined;
    };
    await session.destroy();
    expect(await store.count()).toBe(0);
  });

  it("is not gone on from when somebody else has changed its row", async () => {
    const { store, manager, session } = await begun();
    store.plan = ["lose"];
    await expect(session.login("ada")).rejects.toBe(lost);
    for await (const listed of manager.iterate()) {
      listed.set("note", "by a job");
      await manager.commit(listed);
    }
    session.set("flash", 1);
    expect([(await manager.commit(session)).kind, session.status, session.token]).toEqual([
      "nothing",
      "destroyed",
      undefined,
    ]);
  });

  it("leaves the application its answer where nothing is to be stored and the store is still away", async () => {
    const { store, manager, session } = await begun();
    store.plan = ["lose"];
    await expect(session.login("ada")).rejects.toBe(lost);
    store.lookUp = () => Promise.reject(lost);
    expect((await manager.commit(session)).kind).toBe("nothing");
    session.set("flash", 1);
    await expect(manager.commit(session)).rejects.toBe(lost);
  });

  it("on a session that had ended elsewhere begins none, and can be tried again", async () => {
    const { store, manager, session, stored } = await begun();
    await manager.destroyById(session.id ?? "");
    const create = store.create.bind(store);
    store.create = () => Promise.reject(lost);
    session.set("flash", "mine");
    await expect(session.login("ada")).rejects.toBe(lost);
    store.create = create;
    expect([(await manager.commit(session)).kind, session.token, await store.count()]).toEqual([
      "nothing",
      undefined,
      0,
    ]);
    await session.login("ada");
    await manager.commit(session);
    expect((await stored(session.token)).userId).toBe("ada");
  });

  it("never mixes with what was set beside it, however often which of them fail", async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("set" as const), value: fc.nat(9) }),
      fc.record({ do: fc.constantFrom("login", "renewToken"), how: fc.constantFrom("fail", "lose", "pass") }),
      fc.record({ do: fc.constant("commit" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        const { store, manager, session } = await begun();
        let [user, value]: [string | undefined, number | undefined] = [undefined, undefined];
        let basket: string[] | undefined = ["book"];
        let logins = 0;
        for (const one of steps) {
          if ("value" in one) session.set("flash", (value = one.value));
          else if (one.do === "commit") await manager.commit(session);
          else {
            store.plan = [(one as { how: "fail" | "lose" | "pass" }).how];
            const name = `user ${logins++}`;
            const work = one.do === "login" ? session.login(name) : session.renewToken();
            const done = await work.then(
              () => true,
              () => false,
            );
            store.plan = [];
            if (!done || one.do !== "login") continue;
            // What another user's session held is not the next one's.
            if (user !== undefined) value = basket = undefined;
            user = name;
          }
        }
        await manager.commit(session);
        const again = await manager.load(session.token);
        expect([again.userId, again.get("flash"), again.get("basket")]).toEqual([user, value, basket]);
        expect(await store.count()).toBe(1);
      }),
      { numRuns: 200 },
    );
  });
});

describe("a login whose user has too many sessions", () => {
  it("stands when the oldest can't be ended, and an event tells", async () => {
    const { store, session, stored } = await begun();
    const events: unknown[] = [];
    const stop = listen({ "store-error": (event) => events.push(event) });
    store.trimming = lost;
    await session.login("ada");
    stop();
    expect((await stored(session.token)).userId).toBe("ada");
    expect(events).toEqual([{ operation: "trim", code: "STORE_UNAVAILABLE" }]);
  });

  it("tells those who hold on to the one that it ends", async () => {
    const { manager } = await begun();
    const told: number[] = [];
    for (let n = 0; n < 3; n++) {
      const session = await manager.load();
      await session.login("ada");
      await manager.commit(session);
      manager.watch(session, () => told.push(n));
      // Of two that began in one millisecond neither is the older one.
      const { created } = (await manager.listByUser("ada"))[0] ?? { created: new Date() };
      await expect.poll(() => Date.now()).toBeGreaterThan(created.getTime());
    }
    expect(told).toEqual([0]);
  });

  it("is none the worse for a listener that throws", async () => {
    const { manager, session, stored } = await begun();
    const { error } = console;
    const logged: unknown[] = [];
    console.error = (...args) => void logged.push(args[1]);
    try {
      manager.watch(session, () => {
        throw lost;
      });
      await session.login("ada");
    } finally {
      console.error = error;
    }
    expect(logged).toEqual([lost]);
    expect((await manager.commit(session)).kind).toBe("set");
    expect((await stored(session.token)).userId).toBe("ada");
  });
});

describe("two commits of one session at once", () => {
  it("fail each on its own: the second stores what the first could not", async () => {
    const store = new Unreliable();
    const manager = new SessionManager<Record<string, unknown>>(store);
    const gate = deferred();
    const { create } = MemoryStore.prototype;
    store.create = async (...args) => {
      store.create = (...later) => create.apply(store, later);
      await gate.promise;
      throw Object.assign(lost, { args: args.length });
    };
    const session = await manager.load();
    session.set("key", 1);
    const first = manager.commit(session).catch((error: unknown) => error);
    const second = manager.commit(session);
    gate.resolve();
    expect(await first).toBe(lost);
    expect((await second).kind).toBe("set");
    expect((await manager.load(session.token)).get("key")).toBe(1);
  });
});

describe("a destroy while another commit is under way", () => {
  it("ends the session, under whichever token it is by then", async () => {
    const { store, session } = await begun();
    await Promise.all([session.renewToken(), session.destroy()]);
    expect([await store.count(), session.status]).toEqual([0, "destroyed"]);
  });

  it("may be asked for twice", async () => {
    const { store, session } = await begun();
    await Promise.all([session.destroy(), session.logout()]);
    expect(await store.count()).toBe(0);
  });

  it("is tried again by the commit when it has failed", async () => {
    const { store, manager, session } = await begun();
    const end = store.end.bind(store);
    store.end = () => Promise.reject(lost);
    await expect(session.destroy()).rejects.toBe(lost);
    expect(() => session.set("flash", 1)).toThrow(/call reset\(\) instead/);
    await expect(manager.commit(session)).rejects.toBe(lost);
    store.end = end;
    expect((await manager.commit(session)).kind).toBe("clear");
    expect(await store.count()).toBe(0);
  });
});
