import assert from "node:assert/strict";
import type { ExpressSessionData, ExpressSessionStore } from "../../src/express-session.ts";

/** A store under test, empty. */
export interface ExpressSessionHost {
  store: ExpressSessionStore;
  /** Moves the end of every session to a minute ago, by the store's clock. */
  expireAll(): Promise<void>;
  /** Lets time go by, in milliseconds, where that can be done. */
  pass?(milliseconds: number): Promise<void>;
  /** Counts the rows, live or not, where that can be done. */
  rows?(): Promise<number>;
  /** Forgets that sessions were ended, as a cleanup does after the time for it. */
  forget?(): Promise<void>;
}

type Content = ExpressSessionData & Record<string, unknown>;

const inAnHour = (): Date => new Date(Date.now() + 3_600_000);
/** As express-session passes it: the cookie has a toJSON of its own, the rest is the application's. */
const sessionOf = (values: object, expires: Date | null = inAnHour()): Content => ({
  cookie: { expires, originalMaxAge: 3_600_000, httpOnly: true, path: "/" } as Content["cookie"],
  ...values,
});

async function found(host: ExpressSessionHost, sid: string): Promise<Content | undefined> {
  return (await host.store.get(sid)) as Content | undefined;
}

/** What a store for express-session promises, whatever it keeps sessions in. */
export const expressSessionContract: Record<string, (host: ExpressSessionHost) => Promise<void>> = {
  "get resolves to undefined when there is no session": async ({ store }) => {
    assert.equal(await store.get("missing"), undefined);
  },
  "set stores, get gives back every value that JSON has": async (host) => {
    const values = {
      text: "é \u0001 \u{1f600}",
      n: -1.5e300,
      yes: true,
      none: null,
      list: [{ a: [] }],
      "": "empty",
    };
    await host.store.set("sid", sessionOf(values));
    const { cookie: _, ...rest } = (await found(host, "sid")) ?? {};
    assert.deepEqual(rest, values);
  },
  "set overwrites the whole session": async (host) => {
    await host.store.set("sid", sessionOf({ a: 1 }));
    await host.store.set("sid", sessionOf({ b: 2 }));
    const { cookie: _, ...rest } = (await found(host, "sid")) ?? {};
    assert.deepEqual(rest, { b: 2 });
  },
  "set keeps the session as it was at the call": async (host) => {
    const session = sessionOf({ n: 1 });
    const stored = host.store.set("sid", session);
    session["n"] = 2;
    await stored;
    assert.equal((await found(host, "sid"))?.["n"], 1);
  },
  "the expiry is cookie.expires to the millisecond, and comes back as a Date": async (host) => {
    const expires = new Date(Date.now() + 1_234_567);
    await host.store.set("sid", sessionOf({}, expires));
    assert.deepEqual((await found(host, "sid"))?.cookie.expires, expires);
    await host.store.set("sid", { cookie: { expires: expires.toISOString() } });
    assert.deepEqual((await found(host, "sid"))?.cookie.expires, expires);
  },
  "touch moves cookie.expires forward and back, and leaves the values": async (host) => {
    await host.store.set("sid", sessionOf({ n: 1 }));
    for (const milliseconds of [7_200_000, 60_000]) {
      const expires = new Date(Date.now() + milliseconds);
      await host.store.touch("sid", sessionOf({ n: "not written" }, expires));
      const session = await found(host, "sid");
      assert.deepEqual(session?.cookie.expires, expires);
      assert.equal(session["n"], 1);
    }
  },
  "a session whose cookie ends with the browser lasts for ttl, and its cookie gets no end": async (host) => {
    await host.store.set("sid", sessionOf({ n: 1 }, null));
    await host.store.touch("sid", sessionOf({}, null));
    assert.equal((await found(host, "sid"))?.cookie.expires, null);
    await host.expireAll();
    assert.equal(await host.store.get("sid"), undefined);
  },
  "what has expired is absent, and touch does not bring it back": async (host) => {
    const { store } = host;
    await store.set("sid", sessionOf({}));
    await host.expireAll();
    await store.touch("sid", sessionOf({}));
    assert.equal(await store.get("sid"), undefined);
    assert.equal(await store.length(), 0);
    assert.deepEqual(await store.all(), []);
  },
  "destroy ends a session, and one that is missing without a word": async ({ store }) => {
    await store.set("sid", sessionOf({}));
    await store.destroy("sid");
    await store.destroy("sid");
    await store.destroy("missing");
    assert.equal(await store.get("sid"), undefined);
  },
  "destroy ends what is being stored": async ({ store }) => {
    for (let round = 0; round < 10; round++) {
      const sid = `sid ${round}`;
      await Promise.all([store.set(sid, sessionOf({})), store.set(sid, sessionOf({})), store.destroy(sid)]);
      assert.equal(await store.get(sid), undefined);
    }
  },
  "length counts, all lists, clear ends": async ({ store }) => {
    const sids = Array.from({ length: 1500 }, (_, n) => `sid ${n}`);
    await Promise.all(sids.map((sid, n) => store.set(sid, sessionOf({ n }))));
    assert.equal(await store.length(), 1500);
    const seen = (await store.all()).map((session) => (session as Content)["n"] as number);
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      sids.map((_, n) => n),
    );
    await store.clear();
    assert.equal(await store.length(), 0);
    assert.equal(await store.get("sid 7"), undefined);
  },
  "an id is any string up to 1 KB": async ({ store }) => {
    for (const sid of [
      "a'b\"c\\d{},",
      "é".repeat(512),
      "x".repeat(1024),
      " ",
      "NULL",
      "../../etc",
      "%00\n\r\t",
      "__proto__",
    ]) {
      await store.set(sid, sessionOf({ sid }));
      assert.equal(((await store.get(sid)) as Content)["sid"], sid);
    }
    for (const sid of ["", "x".repeat(1025), "é".repeat(513), "\ud800", undefined, 7]) {
      // There is none to read or to end.
      assert.equal(await store.get(sid as string), undefined);
      await store.destroy(sid as string);
      await assert.rejects(
        store.set(sid as string, sessionOf({})),
        (error) => error instanceof TypeError && error.message.startsWith("sid: "),
      );
    }
  },
  "what can't be stored is refused, by name": async ({ store }) => {
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    await assert.rejects(store.set("sid", sessionOf({ cycle })), TypeError);
    await assert.rejects(store.set("sid", sessionOf({ n: 1n })), TypeError);
    await assert.rejects(store.set("sid", undefined as never), /session: expected an object/);
    assert.equal(await store.get("sid"), undefined);
  },
  "an expires that is no date counts as none, and a maxAge without expires counts": async (host) => {
    const { store } = host;
    const cookies = {
      invalid: { expires: new Date(Number.NaN) },
      text: { expires: "soon" },
      yes: { expires: true },
      no: { expires: false, maxAge: Number.NaN },
      age: { maxAge: 1000 * 86_400_000 },
      both: { maxAge: 1000, expires: new Date(Date.now() + 500 * 86_400_000) },
      endless: { maxAge: Number.MAX_VALUE },
    };
    for (const [sid, cookie] of Object.entries(cookies)) {
      await store.set(sid, { cookie, sid } as never);
      await store.touch(sid, { cookie });
    }
    const left = async (): Promise<string[]> =>
      (await store.all()).map((session) => (session as Content)["sid"] as string);
    assert.equal((await left()).length, 7);
    assert.equal(await store.length(), 7);
    await host.pass?.(2 * 86_400_000);
    if (host.pass !== undefined) assert.deepEqual((await left()).toSorted(), ["age", "both", "endless"]);
  },
  "a session without a cookie comes back as it is": async ({ store }) => {
    await store.set("sid", { user: "ada" } as never);
    assert.deepEqual(await store.get("sid"), { user: "ada" });
    await store.touch("sid", { user: "ada" } as never);
    assert.deepEqual(await store.all(), [{ user: "ada" }]);
    assert.equal(await store.length(), 1);
  },
  "listByUser and destroyByUser go by userOf": async ({ store }) => {
    await Promise.all(["a", "b", "c"].map((sid) => store.set(sid, sessionOf({ passport: { user: "ada" } }))));
    await store.set("number", sessionOf({ passport: { user: 7 } }));
    await store.set("nobody", sessionOf({ passport: {} }));
    await store.set("other", sessionOf({ passport: { user: { name: "ada" } } }));
    const listed = await store.listByUser("ada");
    assert.equal(listed.length, 3);
    assert.ok(listed.every(({ id, expiry }) => /^[\w-]{43}$/.test(id) && expiry instanceof Date));
    assert.equal((await store.listByUser("7")).length, 1);
    assert.equal(await store.destroyByUser("ada", { except: "b" }), 2);
    const [left] = await store.listByUser("ada");
    assert.equal(await store.destroyByUser("ada", { except: [left?.id ?? ""] }), 0);
    assert.ok((await store.get("b")) !== undefined);
    assert.equal(await store.destroyByUser("ada"), 1);
    assert.equal(await store.get("a"), undefined);
    assert.equal(await store.length(), 3);
    await assert.rejects(store.destroyByUser(""), /^TypeError: destroyByUser: userId/);
  },
  "pruneSessions removes what has expired": async (host) => {
    await host.store.set("sid", sessionOf({}));
    await host.expireAll();
    await host.store.set("live", sessionOf({}, new Date(Date.now() + 10 * 86_400_000)));
    await host.store.pruneSessions();
    await new Promise((resolve) => host.store.pruneSessions(resolve));
    if (host.rows !== undefined) assert.equal(await host.rows(), 1);
    assert.equal(await host.store.length(), 1);
  },
  "a failure that nobody listens to ends no process": async ({ store }) => {
    const failures: unknown[] = [];
    const listener = (reason: unknown): unknown => failures.push(reason);
    process.on("unhandledRejection", listener);
    await store.close();
    void store.set("\0".repeat(2000), sessionOf({}));
    void store.destroy("\0".repeat(2000));
    void store.touch("\0".repeat(2000), sessionOf({}));
    void store.set("sid", sessionOf({ n: 1n }));
    store.load("sid");
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", listener);
    assert.deepEqual(failures, []);
  },
  "hostile keys stay values, or go": async (host) => {
    await host.store.set("sid", JSON.parse('{"cookie":{},"__proto__":{"admin":true},"constructor":1}') as Content);
    const session = await found(host, "sid");
    assert.equal(session?.["constructor"], 1);
    assert.equal(Object.hasOwn(session, "__proto__"), false);
    assert.equal(Object.assign({}, session)["admin"], undefined);
  },
  "callbacks get what promises resolve to, and are called later": async ({ store }) => {
    const call = <T>(begin: (callback: (error: unknown, result?: T) => void) => void): Promise<unknown[]> =>
      new Promise((resolve) => {
        let later = false;
        begin((...args) => resolve([later, ...args]));
        later = true;
      });
    assert.deepEqual(await call((done) => store.set("sid", sessionOf({ n: 1 }), done)), [true, null, undefined]);
    assert.deepEqual(await call((done) => store.touch("sid", sessionOf({}), done)), [true, null, undefined]);
    const [, error, session] = await call((done) => store.get("sid", done));
    assert.equal(error, null);
    assert.equal((session as Content)["n"], 1);
    assert.deepEqual(await call((done) => store.length(done)), [true, null, 1]);
    assert.deepEqual(await call((done) => store.destroy("sid", done)), [true, null, undefined]);
    assert.deepEqual(await call((done) => store.get("sid", done)), [true, null, undefined]);
    assert.deepEqual(await call((done) => store.all(done)), [true, null, []]);
    assert.deepEqual(await call((done) => store.clear(done)), [true, null, undefined]);
    const [late, failure] = await call((done) => store.set("", sessionOf({}), done));
    assert.equal(late, true);
    assert.ok(failure instanceof TypeError);
  },
  "close is idempotent": async ({ store }) => {
    store.stopCleanup();
    await store.close();
    await store.close();
  },
};

/** What also holds where ended sessions are remembered: in everything but a store of three methods. */
export const endedSessions: typeof expressSessionContract = {
  "neither set nor touch brings a destroyed session back": async ({ store }) => {
    await store.set("sid", sessionOf({ user: "mallory" }));
    await store.destroy("sid");
    await store.set("sid", sessionOf({ user: "mallory" }));
    await store.touch("sid", sessionOf({}));
    await store.set("sid", sessionOf({ user: "mallory" }));
    assert.equal(await store.get("sid"), undefined);
    assert.equal(await store.length(), 0);
  },
  "nor when nothing tells any more that it was destroyed": async (host) => {
    const { store } = host;
    await store.set("sid", sessionOf({ user: "mallory" }));
    const loaded = (await store.get("sid")) as Content;
    await store.destroy("sid");
    await host.forget?.();
    assert.equal(await store.get("sid"), undefined);
    await store.set("sid", loaded);
    await store.touch("sid", loaded);
    await store.set("sid", sessionOf({ user: "mallory" }));
    assert.equal(await store.get("sid"), undefined);
    assert.equal(await store.length(), 0);
  },
  "of many writes beside a destroy none survives it": async ({ store }) => {
    for (let round = 0; round < 10; round++) {
      const sid = `sid ${round}`;
      await store.set(sid, sessionOf({}));
      const late = Array.from({ length: 10 }, () => store.set(sid, sessionOf({})));
      await Promise.all([...late, store.destroy(sid), store.touch(sid, sessionOf({})), store.set(sid, sessionOf({}))]);
      assert.equal(await store.get(sid), undefined);
    }
  },
  "clear ends for good": async ({ store }) => {
    await store.set("sid", sessionOf({}));
    await store.clear();
    await store.set("sid", sessionOf({}));
    assert.equal(await store.get("sid"), undefined);
  },
};
