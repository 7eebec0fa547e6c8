import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type Session,
  SessionConflictError,
  SessionDecodeError,
  SessionManager,
  type SessionOptions,
} from "../../src/index.ts";
import { idOf } from "../../src/lib/core/token.ts";
import { GatedStore } from "../support/gated-store.ts";

const IDLE: SessionOptions = { idleTimeout: "20m", touchAfter: 0, cookie: { persist: true } };

/** Two managers on one store: what two processes are to each other. */
function setup(options?: SessionOptions) {
  // No two moments are the same: an idle timeout always has something to move.
  let tick = 0;
  const store = new GatedStore(() => Date.now() + tick++);
  const [one, two] = [new SessionManager(store, options), new SessionManager(store, options)];
  const make = async (values: Record<string, unknown> = { key: "first" }): Promise<string> => {
    const session = await one.load();
    for (const [key, value] of Object.entries(values)) session.set(key, value);
    await one.commit(session);
    return session.token ?? "";
  };
  const valuesOf = async (token: string | undefined): Promise<Record<string, unknown>> => {
    const session = await one.load(token);
    return Object.fromEntries(session.keys().map((key) => [key, session.get(key)]));
  };
  return { store, one, two, make, valuesOf };
}

const events: { gone: unknown[]; conflict: unknown[] } = { gone: [], conflict: [] };
const onGone = (event: unknown): void => void events.gone.push(event);
const onConflict = (event: unknown): void => void events.conflict.push(event);
beforeEach(() => {
  events.gone.length = 0;
  events.conflict.length = 0;
  subscribe("pgstore:gone", onGone);
  subscribe("pgstore:conflict", onConflict);
});
afterEach(() => {
  unsubscribe("pgstore:gone", onGone);
  unsubscribe("pgstore:conflict", onConflict);
});

describe("a commit that finds the session changed", () => {
  it("makes its operations again on the newer values", async () => {
    const { one, two, make, valuesOf } = setup();
    const token = await make({ n: 1, list: [1], gone: 1, popped: 1, kept: 1 });
    const [first, second] = [await one.load(token), await two.load(token)];
    first.set("theirs", true).set("n", 10).set("list", [1, 2]).set("gone", 2);
    await one.commit(first);
    second.update("n", (n) => (n as number) + 1);
    second.delete("gone");
    second.pop("popped");
    (second.get("list") as number[]).push(9);
    second.set("ours", true);
    const result = await two.commit(second);
    expect(result.kind).toBe("nothing");
    // Both changed the list: the last one wins, whole.
    expect(await valuesOf(token)).toEqual({ n: 11, list: [1, 9], kept: 1, ours: true, theirs: true });
    expect(second.get("theirs")).toBe(true);
    expect(events.conflict).toEqual([{ id: idOf(token), attempt: 1 }]);
    expect(JSON.stringify(events)).not.toContain(token);
  });

  it("clears the newer values when it had cleared", async () => {
    const { one, two, make, valuesOf } = setup();
    const token = await make();
    const [first, second] = [await one.load(token), await two.load(token)];
    first.set("theirs", true);
    first.rememberMe(true);
    await one.commit(first);
    second.clear();
    second.set("after", 1);
    await two.commit(second);
    expect(await valuesOf(token)).toEqual({ after: 1 });
  });

  it("keeps a deadline that it had set, and takes over one that was set meanwhile", async () => {
    const { one, two, make } = setup();
    const token = await make();
    const [first, second, third] = [await one.load(token), await two.load(token), await two.load(token)];
    const [near, nearer] = [new Date(Date.now() + 60_000), new Date(Date.now() + 50_000)];
    first.setDeadline(near);
    await one.commit(first);
    second.set("key", 2);
    await two.commit(second);
    expect((await one.load(token)).deadline).toEqual(near);
    third.setDeadline(nearer);
    await two.commit(third);
    expect((await one.load(token)).deadline).toEqual(nearer);
  });

  it("renews what is there by then", async () => {
    const { one, two, make, valuesOf } = setup();
    const token = await make();
    const [first, second] = [await one.load(token), await two.load(token)];
    first.set("theirs", true);
    await one.commit(first);
    await second.renewToken();
    expect(await valuesOf(second.token)).toEqual({ key: "first", theirs: true });
    expect(await valuesOf(token)).toEqual({});
  });

  it("gives up after 100 attempts, with an error that names the id, and stores nothing", async () => {
    const { store, one, make } = setup();
    const token = await make();
    const session = await one.load(token);
    session.set("key", 2);
    let attempts = 0;
    store.replace = async () => {
      attempts++;
      return false;
    };
    const error = await one.commit(session).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SessionConflictError);
    expect((error as SessionConflictError).id).toBe(idOf(token));
    expect((error as Error).message).not.toContain(token);
    expect(attempts).toBe(100);
  });

  it("throws when the newer data can't be decoded, or a step fails on it", async () => {
    const { store, one, make } = setup();
    const token = await make({ n: 1 });
    const id = idOf(token);
    const session = await one.load(token);
    session.update("n", (n) => {
      if (n === 2) throw new Error("expected by the test");
      return 5;
    });
    await store.save(id, new TextEncoder().encode('{"data":{"n":2},"deadline":0}'), new Date(Date.now() + 60_000));
    await expect(one.commit(session)).rejects.toThrow("expected by the test");
    await store.save(id, new TextEncoder().encode("{"), new Date(Date.now() + 60_000));
    expect((await one.load(token)).status).toBe("new");
    await expect(one.commit(session)).rejects.toThrow(SessionDecodeError);
    expect(new TextDecoder().decode((await store.find(id))?.data)).toBe("{");
  });
});

describe("a session that begins in place of one that has ended elsewhere", () => {
  it("tells the client no token of the ended one", async () => {
    const { one, two, make } = setup();
    const session = await one.load(await make());
    await session.login("ada");
    await two.destroyByUser("ada");
    await session.reset();
    expect((await one.commit(session)).kind).toBe("nothing");
    session.set("key", 1);
    const { kind, cookie } = await one.commit(session);
    expect([kind, cookie?.value]).toEqual(["set", session.token]);
  });
});

describe("a step of update that throws on newer values", () => {
  it("stores no part of the request's changes, however often the commit is tried", async () => {
    const { one, two, make, valuesOf } = setup();
    const token = await make({ n: 9 });
    const [first, second] = [await one.load(token), await two.load(token)];
    const limited = (n: unknown): number => {
      if (n === 10) throw new Error("the limit is reached");
      return (n as number) + 1;
    };
    const deadline = new Date(Date.now() + 60_000);
    second.set("before", 1);
    second.update("n", limited);
    second.set("after", 2);
    second.setDeadline(deadline);
    first.update("n", limited);
    await one.commit(first);
    await expect(second.save()).rejects.toThrow("the limit is reached");
    expect([second.get("before"), second.get("after"), second.deadline]).toEqual([1, 2, deadline]);
    await expect(two.commit(second)).rejects.toThrow("the limit is reached");
    expect(await valuesOf(token)).toEqual({ n: 10 });
    const third = await one.load(token);
    third.set("n", 5);
    await one.commit(third);
    await two.commit(second);
    expect(await valuesOf(token)).toEqual({ n: 6, before: 1, after: 2 });
    expect((await one.load(token)).deadline).toEqual(deadline);
  });

  it("undoes a login whose commit it has failed", async () => {
    const { one, two, make, valuesOf } = setup();
    const token = await make({ n: 1 });
    const [first, second] = [await one.load(token), await two.load(token)];
    second.update("n", (n) => {
      if (n === 2) throw new Error("expected by the test");
      return 5;
    });
    first.set("n", 2);
    await one.commit(first);
    await expect(second.login("ada")).rejects.toThrow("expected by the test");
    expect(second.userId).toBeUndefined();
    await expect(two.commit(second)).rejects.toThrow("expected by the test");
    expect(await valuesOf(token)).toEqual({ n: 2 });
  });
});

describe("requests of one process", () => {
  it("queue for their session instead of conflicting, each on what the one before wrote", async () => {
    const { store, one, make, valuesOf } = setup();
    const token = await make();
    const sessions = await Promise.all(Array.from({ length: 50 }, () => one.load(token)));
    const finds = store.finds;
    await Promise.all(
      sessions.map((session, n) => {
        session.set(`k${n}`, n);
        session.update("n", (count) => ((count as number | undefined) ?? 0) + 1);
        return one.commit(session);
      }),
    );
    const values = await valuesOf(token);
    expect(values["n"]).toBe(50);
    expect(Object.keys(values)).toHaveLength(52);
    expect(store.finds - finds).toBe(1);
    expect(events.conflict).toEqual([]);
  });

  it("are not held up by one that failed", async () => {
    const { store, one, make, valuesOf } = setup();
    const token = await make();
    const [first, second] = [await one.load(token), await one.load(token)];
    const { arrived, release } = store.hold();
    const { replace } = store;
    store.replace = async (...args) => {
      store.replace = replace;
      await replace.apply(store, args);
      throw new Error("expected by the test");
    };
    first.set("stored though", 1);
    const failing = one.commit(first);
    await arrived;
    second.set("kept", 1);
    const waiting = one.commit(second);
    release();
    await expect(failing).rejects.toThrow("expected by the test");
    await waiting;
    expect(await valuesOf(token)).toEqual({ key: "first", kept: 1, "stored though": 1 });
  });

  it("share no object, though they begin from what the one before wrote", async () => {
    const { store, one, make, valuesOf } = setup();
    const token = await make();
    const [first, second] = [await one.load(token), await one.load(token)];
    const list = [1];
    first.set("list", list);
    second.set("other", 1);
    const { arrived, release } = store.hold();
    const writing = one.commit(first);
    await arrived;
    const waiting = one.commit(second);
    release();
    await Promise.all([writing, waiting]);
    list.push(2);
    expect(second.get("list")).toEqual([1]);
    second.set("more", 1);
    await one.commit(second);
    expect(await valuesOf(token)).toEqual({ key: "first", list: [1], other: 1, more: 1 });
  });

  it("change in place what they read before others wrote", async () => {
    const { store, one, make, valuesOf } = setup();
    const token = await make({ list: [1] });
    const [first, second] = [await one.load(token), await one.load(token)];
    const { arrived, release } = store.hold();
    first.set("theirs", 1);
    const writing = one.commit(first);
    await arrived;
    (second.get("list") as number[]).push(2);
    const waiting = one.commit(second);
    release();
    await Promise.all([writing, waiting]);
    expect(await valuesOf(token)).toEqual({ list: [1, 2], theirs: 1 });
  });
});

describe("a commit that finds the session ended", () => {
  const enders: Record<string, (session: Session) => Promise<void>> = {
    destroy: (session) => session.destroy(),
    renewToken: (session) => session.renewToken(),
    reset: (session) => session.reset(),
    login: (session) => session.login("ada"),
  };
  const changes: Record<string, (session: Session) => unknown> = {
    set: (session) => session.set("key", 2),
    update: (session) => session.update("key", () => 2),
    "change in place": (session) => (session.get("list") as number[]).push(2),
    clear: (session) => session.clear(),
    rememberMe: (session) => session.rememberMe(true),
    setDeadline: (session) => session.setDeadline(new Date(Date.now() + 1e9)),
    touch: () => {},
    renewToken: (session) => session.renewToken(),
    "set and renewToken": (session) => session.set("key", 2).renewToken(),
  };
  for (const [ender, end] of Object.entries(enders)) {
    for (const [change, apply] of Object.entries(changes)) {
      it(`by ${ender} drops a ${change}, sends no cookie and tells`, async () => {
        const { store, one, two, make, valuesOf } = setup(IDLE);
        const token = await make({ key: 1, list: [1] });
        const [winner, loser] = [await one.load(token), await two.load(token)];
        await end(winner);
        const before = await valuesOf(winner.token);
        await apply(loser);
        const result = await two.commit(loser);
        expect([result.kind, result.setCookie]).toEqual(["nothing", undefined]);
        expect(loser.status).toBe("destroyed");
        expect([loser.token, loser.size]).toEqual([undefined, 0]);
        expect(await store.find(idOf(token))).toBe(undefined);
        expect(await valuesOf(winner.token)).toEqual(before);
        expect(events.gone).toEqual([{ id: idOf(token) }]);
        // Whatever the handler still does is dropped as well.
        loser.set("late", 1);
        expect((await two.commit(loser)).kind).toBe("nothing");
      });
    }
    for (const noticed of [false, true]) {
      it(`by ${ender} ends what it goes on as when it is destroyed${noticed ? ", and has noticed that before" : ""}`, async () => {
        const { one, two, make } = setup(IDLE);
        const token = await make({ key: 1 });
        const [winner, loser] = [await one.load(token), await two.load(token)];
        await end(winner);
        const heard: string[] = [];
        if (winner.token !== undefined) two.watch(winner, () => heard.push("ended"));
        if (noticed) {
          loser.set("key", 2);
          await two.commit(loser);
        }
        await loser.destroy();
        const goneOn = ender !== "destroy";
        expect((await two.commit(loser)).kind).toBe(goneOn ? "clear" : "nothing");
        expect(heard).toEqual(goneOn ? ["ended"] : []);
        expect((await one.load(winner.token)).status).toBe("new");
      });
    }
  }

  it("by its expiry drops the change", async () => {
    const { store, one, make } = setup();
    const token = await make();
    const session = await one.load(token);
    const found = await store.find(idOf(token));
    await store.save(idOf(token), found?.data ?? new Uint8Array(), new Date(Date.now() - 1));
    session.set("key", 2);
    expect((await one.commit(session)).kind).toBe("nothing");
    expect(session.status).toBe("destroyed");
  });

  it("lets an explicit login begin a session of its own, without what the ended one held", async () => {
    const { one, two, make, valuesOf } = setup(IDLE);
    const token = await make({ secret: 1 });
    const [winner, loser] = [await one.load(token), await two.load(token)];
    await winner.destroy();
    loser.set("flash", "welcome");
    await loser.login("ada");
    loser.set("after", 1);
    const result = await two.commit(loser);
    expect(result.kind).toBe("set");
    expect(result.setCookie).toContain(loser.token);
    expect(await valuesOf(loser.token)).toEqual({ flash: "welcome", after: 1 });
    expect((await one.load(loser.token)).userId).toBe("ada");
    expect(await valuesOf(token)).toEqual({});
  });

  it("lets an explicit renew begin an empty one, which gets a row when something is set", async () => {
    const { one, two, make, valuesOf } = setup();
    const token = await make({ secret: 1 });
    const [winner, loser, empty] = [await one.load(token), await two.load(token), await two.load(token)];
    await winner.destroy();
    await empty.reset();
    expect((await two.commit(empty)).kind).toBe("nothing");
    await loser.reset();
    loser.set("flash", "bye");
    expect((await two.commit(loser)).kind).toBe("set");
    expect(await valuesOf(loser.token)).toEqual({ flash: "bye" });
  });

  it("lets a login follow in the same request after changes were dropped", async () => {
    const { one, two, make, valuesOf } = setup();
    const token = await make({ secret: 1 });
    const [winner, loser] = [await one.load(token), await two.load(token)];
    await winner.destroy();
    await loser.renewToken();
    expect(loser.status).toBe("destroyed");
    await loser.login("ada");
    expect((await two.commit(loser)).kind).toBe("set");
    expect(await valuesOf(loser.token)).toEqual({});
    const again = await two.load(token);
    await again.reset();
    again.set("x", 1);
    expect((await two.commit(again)).kind).toBe("set");
  });

  it("sends no cookie either for a token that it had renewed itself before", async () => {
    const { one, two, make } = setup();
    const token = await make();
    const loser = await two.load(token);
    await loser.renewToken();
    const revoked = loser.token;
    await one.destroyById(loser.id ?? "");
    loser.set("key", 2);
    expect((await two.commit(loser)).kind).toBe("nothing");
    expect((await one.load(revoked)).status).toBe("new");
  });
});

describe("a token that is renewed while a first commit is under way", () => {
  it("is the one that lives and that the client is told", async () => {
    const { store, one, valuesOf } = setup();
    const session = await one.load();
    session.set("key", 1);
    const { arrived, release } = store.hold();
    const first = one.commit(session);
    await arrived;
    const old = session.token;
    const renewing = session.renewToken();
    release();
    await Promise.all([first, renewing]);
    const result = await one.commit(session);
    expect(session.token).not.toBe(old);
    expect(result.setCookie).toContain(session.token);
    expect(await valuesOf(old)).toEqual({});
    expect(await valuesOf(session.token)).toEqual({ key: 1 });
  });
});

describe("two processes that take the same step", () => {
  it("write other bytes, so that a store can tell whose were stored; equal sets need no such mark", async () => {
    const { store, one, two, make } = setup();
    const token = await make({ n: 1 });
    const before = await store.find(idOf(token));
    const bytesOf = async (manager: SessionManager, change: (session: Session) => unknown): Promise<string> => {
      await store.save(idOf(token), before?.data ?? new Uint8Array(), before?.expiry ?? new Date());
      const session = await manager.load(token);
      change(session);
      await manager.commit(session);
      return new TextDecoder().decode((await store.find(idOf(token)))?.data);
    };
    const step = (session: Session): unknown => session.update("n", (n) => Number(n) + 1);
    const [first, second] = [await bytesOf(one, step), await bytesOf(two, step)];
    expect(first).not.toBe(second);
    expect(JSON.parse(first)).toEqual(JSON.parse(second));
    const set = (session: Session): unknown => session.set("n", 7);
    expect(await bytesOf(one, set)).toBe(await bytesOf(two, set));
  });
});
