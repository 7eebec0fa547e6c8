import assert from "node:assert/strict";
import type { UserStore } from "../../src/lib/core/store.ts";
import {
  type EndEvent,
  type MemoryStore,
  type PgStore,
  type Session,
  SessionManager,
  type SessionOptions,
} from "../../src/index.ts";

/** A store with an empty table, and a user that nobody else has. */
export interface UserHost {
  store: PgStore | MemoryStore;
  /** Moves the expiry of a row to a minute ago, by the store's clock. */
  expire(token: string): Promise<void>;
}

type AnySession = Session<Record<string, unknown>>;
type AnyManager = SessionManager<Record<string, unknown>>;

const managerOf = ({ store }: UserHost, options: SessionOptions = {}): AnyManager => new SessionManager(store, options);

/** Logs in as a request does, in a session of its own. */
async function login(manager: AnyManager, userId: string, session?: AnySession): Promise<AnySession> {
  const mine = session ?? (await manager.load());
  await mine.login(userId);
  await manager.commit(mine);
  return mine;
}

const reload = (manager: AnyManager, session: AnySession): Promise<AnySession> => manager.load(session.token);
const idsOf = async (manager: AnyManager, userId: string): Promise<string[]> =>
  (await manager.listByUser(userId)).map(({ id }) => id);

/** What sessions by user promise, whatever the store. */
export const userContract: Record<string, (host: UserHost) => Promise<void>> = {
  "a user's sessions are listed, the newest first, with the current one marked": async (host) => {
    const manager = managerOf(host);
    const sessions = [];
    for (let n = 0; n < 3; n++) sessions.push(await login(manager, "alice"));
    await login(manager, "alic");
    await login(manager, "alice ");
    const [first, second, third] = sessions;
    const listed = await manager.listByUser("alice", { current: second });
    assert.deepEqual(new Set(listed.map(({ id }) => id)), new Set([first?.id, second?.id, third?.id]));
    for (const entry of listed) {
      assert.equal(entry.current, entry.id === second?.id);
      assert.ok(entry.created instanceof Date && entry.lastSeen >= entry.created && entry.expiry > entry.created);
      assert.deepEqual([entry.ip, entry.userAgent], [undefined, undefined]);
    }
    const created = listed.map((entry) => entry.created.getTime());
    assert.deepEqual(
      created,
      created.toSorted((a, b) => b - a),
    );
    const byId = await manager.listByUser("alice", { current: third?.id ?? "" });
    assert.deepEqual(
      byId.filter(({ current }) => current).map(({ id }) => id),
      [third?.id],
    );
  },
  "managers of different scopes have sessions and users of their own": async (host) => {
    for (const hashTokens of [true, false]) {
      const scopes = [undefined, "admin", "admin2"];
      const managers = scopes.map((scope) => managerOf(host, { scope, hashTokens, maxSessionsPerUser: 1 }));
      const sessions = await Promise.all(managers.map((manager) => login(manager, "1")));
      assert.equal(new Set(sessions.map(({ id }) => id)).size, 3);
      for (const [n, manager] of managers.entries()) {
        for (const [m, session] of sessions.entries()) {
          const loaded = await reload(manager, session);
          assert.equal(loaded.userId, n === m ? "1" : undefined);
        }
        assert.deepEqual(await idsOf(manager, "1"), [sessions[n]?.id]);
      }
      const [shop, admin, other] = managers as [AnyManager, AnyManager, AnyManager];
      // Of two logins in one millisecond either may count as the older.
      await waitForNextMillisecond();
      await login(admin, "1");
      assert.deepEqual(await idsOf(admin, "1").then((ids) => ids.includes(sessions[1]?.id ?? "")), false);
      assert.equal(await admin.destroyByUser("1"), 1);
      for (const [n, manager] of [shop, admin, other].entries()) {
        const session = sessions[n] as AnySession;
        assert.equal((await reload(manager, session)).userId, n === 1 ? undefined : "1");
        const [listed] = await shop.tableUsers.listByUser(["1", "%admin:1", "%admin2:1"][n] ?? "");
        assert.equal(listed?.id, n === 1 ? undefined : session.id);
      }
      const mine = await login(admin, "7");
      assert.equal(await admin.destroyById(mine.id ?? "", { userId: "8" }), false);
      assert.equal(await shop.destroyById(mine.id ?? "", { userId: "7" }), false);
      assert.equal(await admin.destroyById(mine.id ?? "", { userId: "7" }), true);
      const { id = "" } = await login(admin, "7");
      assert.equal(await shop.tableUsers.destroyById(id, { userId: "7" }), false);
      assert.equal(await shop.tableUsers.destroyById(id, { userId: "%admin:7" }), true);
      const shared = managerOf(host, { scope: "admin2", hashTokens });
      assert.equal((await reload(shared, sessions[2] as AnySession)).userId, "1");
      await assert.rejects(
        (await shop.load()).login("%admin:1"),
        /^TypeError: login: userId: expected an id that does not begin with %/,
      );
      await (await shop.load()).login("%1");
      assert.equal(await other.tableUsers.destroyByUser("1"), 1);
      assert.equal((await reload(shop, sessions[0] as AnySession)).userId, undefined);
      assert.equal(
        (await (await reload(other, sessions[2] as AnySession)).renewToken(), await other.destroyByUser("1")),
        1,
      );
    }
  },
  "no list shows a token": async (host) => {
    const manager = managerOf(host);
    const session = await login(manager, "alice");
    assert.ok(!JSON.stringify(await manager.listByUser("alice")).includes(session.token ?? "?"));
  },
  "pages follow one another and miss nobody": async (host) => {
    const manager = managerOf(host);
    for (let n = 0; n < 7; n++) await login(manager, "alice");
    const all = await idsOf(manager, "alice");
    const paged: string[] = [];
    for (let after; ;) {
      const page = await manager.listByUser("alice", { limit: 3, after });
      paged.push(...page.map(({ id }) => id));
      after = page.at(-1);
      if (page.length < 3) break;
    }
    assert.equal(all.length, 7);
    assert.deepEqual(paged, all);
  },
  "a page after an instant that is before every other is empty": async (host) => {
    const manager = managerOf(host);
    const { id } = await login(manager, "alice");
    const after = { created: new Date(-8.64e15), id: id ?? "" };
    assert.deepEqual(await manager.listByUser("alice", { after }), []);
  },
  "the end of a user's sessions is at once and everywhere, but for those excepted": async (host) => {
    const [manager, elsewhere] = [managerOf(host), managerOf(host)];
    const mine = await login(manager, "alice");
    const others = [await login(manager, "alice"), await login(elsewhere, "alice")];
    const bob = await login(manager, "bob");
    assert.equal(await manager.destroyByUser("alice", { except: mine }), 2);
    for (const session of others) assert.equal((await reload(elsewhere, session)).userId, undefined);
    assert.equal((await reload(elsewhere, mine)).userId, "alice");
    assert.equal((await reload(elsewhere, bob)).userId, "bob");
    assert.deepEqual(await idsOf(manager, "alice"), [mine.id]);
    assert.equal(await manager.destroyByUser("alice"), 1);
    assert.equal(await manager.destroyByUser("alice"), 0);
    assert.deepEqual(await idsOf(manager, "alice"), []);
  },
  "several may be excepted, by id or session": async (host) => {
    const manager = managerOf(host);
    const [one, two] = [await login(manager, "alice"), await login(manager, "alice")];
    await login(manager, "alice");
    assert.equal(await manager.destroyByUser("alice", { except: [one, two.id ?? ""] }), 1);
    assert.deepEqual(new Set(await idsOf(manager, "alice")), new Set([one.id, two.id]));
  },
  "a commit of a request that was under way brings nothing back": async (host) => {
    const [manager, elsewhere] = [managerOf(host), managerOf(host)];
    const session = await login(manager, "alice");
    const late = await reload(elsewhere, session);
    late.set("late", true);
    await manager.destroyByUser("alice");
    const result = await elsewhere.commit(late);
    assert.equal(result.setCookie, undefined);
    assert.equal(late.status, "destroyed");
    const again = await reload(manager, session);
    assert.deepEqual([again.userId, again.get("late")], [undefined, undefined]);
  },
  "an id that was listed before a renewal ends the session, but not another user's": async (host) => {
    const [manager, elsewhere] = [managerOf(host), managerOf(host)];
    for (const again of [
      (session: AnySession) => session.renewToken(),
      (session: AnySession) => session.login("alice"),
    ]) {
      const session = await login(manager, "alice");
      const listed = session.id ?? "";
      for (let n = 0; n < 3; n++) {
        await again(session);
        await elsewhere.commit(session);
      }
      const heard: string[] = [];
      manager.watch(session, () => heard.push("ended"));
      assert.equal(await manager.destroyById(listed, { userId: "bob" }), false);
      assert.equal((await reload(elsewhere, session)).userId, "alice");
      assert.equal(await manager.destroyById(listed, { userId: "alice" }), true);
      assert.deepEqual(heard, ["ended"]);
      assert.equal((await reload(elsewhere, session)).userId, undefined);
      assert.equal(await manager.destroyById(listed, { userId: "alice" }), false);
      assert.equal(await manager.destroyById(listed), false);
    }
    const session = await login(manager, "alice");
    assert.equal(await manager.destroyById(session.id ?? "", { userId: "bob" }), false);
    assert.equal(await manager.destroyById(session.id ?? "", { userId: "alice" }), true);
    await assert.rejects(manager.destroyById("t", { userId: undefined as never }), /^TypeError: destroyById: userId/);
  },
  "a session that was spared by an id from before its renewal goes on": async (host) => {
    const manager = managerOf(host);
    const [mine, other] = [await login(manager, "alice"), await login(manager, "alice")];
    const listed = mine.id ?? "";
    await mine.renewToken();
    await mine.renewToken();
    await manager.commit(mine);
    assert.equal(await manager.destroyByUser("alice", { except: listed }), 1);
    assert.equal((await reload(manager, mine)).userId, "alice");
    assert.equal((await reload(manager, other)).userId, undefined);
  },
  "a log-out beside a renewal ends what the session goes on as": async (host) => {
    const [manager, elsewhere] = [managerOf(host), managerOf(host)];
    for (const when of ["after the load", "before the load"]) {
      const session = await login(manager, "alice");
      const { token } = session;
      const early = await elsewhere.load(token);
      await session.renewToken();
      await manager.commit(session);
      const late = when === "after the load" ? early : await elsewhere.load(token);
      await late.logout();
      assert.equal((await elsewhere.commit(late)).kind, "clear");
      assert.equal((await reload(manager, session)).userId, undefined);
      assert.deepEqual(await idsOf(manager, "alice"), []);
    }
  },
  "a log-out in a request that has logged in on an ended session ends both": async (host) => {
    const manager = managerOf(host);
    const session = await login(manager, "alice");
    const { token } = session;
    await session.renewToken();
    await manager.commit(session);
    const late = await manager.load(token);
    await late.login("alice");
    await late.save();
    assert.equal((await idsOf(manager, "alice")).length, 2);
    const later = await manager.load(token);
    await later.login("alice");
    await later.logout();
    assert.equal((await manager.commit(later)).kind, "clear");
    assert.equal((await reload(manager, session)).userId, undefined);
  },
  "a log-out ends the continued session even after several logins in its request": async (host) => {
    const manager = managerOf(host);
    for (const begin of ["login", "reset"] as const) {
      const session = await login(manager, "alice");
      const { token } = session;
      await session.renewToken();
      await manager.commit(session);
      const late = await manager.load(token);
      for (let times = 0; times < 3; times++) {
        await late.login("alice");
        await manager.commit(late);
        assert.equal(await manager.destroyById(late.id ?? ""), true);
      }
      await (begin === "login" ? late.login("alice") : late.reset());
      assert.equal((await reload(manager, session)).userId, "alice");
      await late.destroy();
      assert.equal((await reload(manager, session)).userId, undefined);
    }
  },
  "a revoked browser begins anew at once, whoever ended its session": async (host) => {
    const manager = managerOf(host);
    const ways: Record<string, (session: AnySession) => Promise<unknown>> = {
      destroyByUser: () => manager.destroyByUser("alice"),
      destroyById: (session) => manager.destroyById(session.id ?? ""),
      "the limit": () => login(managerOf(host, { maxSessionsPerUser: 1 }), "alice"),
    };
    for (const [way, end] of Object.entries(ways)) {
      await manager.destroyByUser("alice");
      const session = await login(manager, "alice");
      await waitForNextMillisecond();
      await end(session);
      const anew = await reload(manager, session);
      assert.equal(anew.status, "new", way);
      assert.equal((await manager.commit(anew)).kind, "nothing");
      anew.set("flash", "please log in");
      assert.equal((await manager.commit(anew)).kind, "set", way);
      assert.notEqual(anew.token, session.token);
      assert.equal((await reload(manager, anew)).get("flash"), "please log in");
      assert.deepEqual(anew.keys(), ["flash"]);
    }
  },
  "a login on a revoked session is not overwritten by its late requests": async (host) => {
    const manager = managerOf(host);
    const flows: Record<string, (session: AnySession) => Promise<AnySession>> = {
      "at once": async (session) => {
        const anew = await reload(manager, session);
        await anew.login("alice");
        return anew;
      },
      "after a form": async (session) => {
        const form = await reload(manager, session);
        form.set("form", true);
        await manager.commit(form);
        const anew = await reload(manager, form);
        await anew.login("alice");
        return anew;
      },
      "in a request that had loaded it": async (session) => {
        await session.login("alice");
        return session;
      },
    };
    for (const [flow, begin] of Object.entries(flows)) {
      await manager.destroyByUser("alice");
      const session = await login(manager, "alice");
      const loaded = await reload(manager, session);
      await manager.destroyByUser("alice");
      const late = await reload(manager, session);
      const anew = await begin(loaded);
      assert.equal((await manager.commit(anew)).kind, "set");
      assert.equal((await reload(manager, anew)).userId, "alice");
      for (const request of [late, await reload(manager, session)]) {
        request.set("late", true);
        assert.equal((await manager.commit(request)).kind, "nothing", flow);
        assert.equal(request.status, "destroyed");
      }
      // Nor does it take a second log-in to log out.
      const out = await reload(manager, session);
      await out.logout();
      assert.equal((await manager.commit(out)).kind, "clear", flow);
      assert.equal((await reload(manager, anew)).userId, undefined, flow);
    }
  },
  "renewing keeps the user, and its old row is gone from the list": async (host) => {
    const manager = managerOf(host);
    const session = await login(manager, "alice");
    const before = session.id;
    await session.renewToken();
    await manager.commit(session);
    assert.notEqual(session.id, before);
    assert.deepEqual(await idsOf(manager, "alice"), [session.id]);
    await session.logout();
    assert.deepEqual(await idsOf(manager, "alice"), []);
  },
  "what is known of a login stays when the session goes on under another token": async (host) => {
    const manager = managerOf(host, { recordIp: true, recordUserAgent: true });
    const session = await manager.loadFrom({}, () => ({ ip: "192.0.2.7", userAgent: "Browser/1" }));
    await session.login("alice");
    await manager.commit(session);
    const [before] = await manager.listByUser("alice");
    await waitForNextMillisecond();
    const again = await reload(manager, session);
    await again.renewToken();
    await manager.commit(again);
    const [after] = await manager.listByUser("alice");
    assert.ok(before !== undefined && after !== undefined && after.id !== before.id);
    assert.deepEqual([after.created, after.ip, after.userAgent], [before.created, "192.0.2.7", "Browser/1"]);
    assert.ok(after.lastSeen > before.lastSeen);
    await again.login("alice");
    await manager.commit(again);
    const [anew] = await manager.listByUser("alice");
    assert.ok(anew !== undefined && anew.created > before.created);
    assert.deepEqual([anew.ip, anew.userAgent], [undefined, undefined]);
  },
  "a tag ends the sessions that it was given to, and those that they were renewed to": async (host) => {
    const [manager, elsewhere] = [managerOf(host), managerOf(host)];
    const tagged = async (userId: string, tags: string[]): Promise<AnySession> => {
      const session = await manager.load();
      await session.login(userId, { tags });
      await manager.commit(session);
      return session;
    };
    const odd = 'sid "\\{},NULL';
    const [one, two, three] = [
      await tagged("alice", [odd, "idp", odd]),
      await tagged("bob", ["other", odd]),
      await tagged("carol", ["other"]),
    ] as [AnySession, AnySession, AnySession];
    const four = await login(manager, "dave");
    const scoped = managerOf(host, { scope: "admin" });
    assert.equal(await scoped.destroyByTag(odd), 0);
    const admin = await scoped.load();
    await admin.login("alice", { tags: ["idp"] });
    await scoped.commit(admin);
    assert.equal(await scoped.destroyByTag("idp"), 1);
    assert.deepEqual(one.tags, [odd, "idp"]);
    await one.renewToken();
    const again = await reload(elsewhere, one);
    assert.deepEqual(again.tags, [odd, "idp"]);
    await again.renewToken();
    await again.reauthenticate();
    assert.equal(await elsewhere.destroyByTag("sid"), 0);
    assert.equal(await elsewhere.destroyByTag(odd), 2);
    assert.equal(await elsewhere.destroyByTag(odd), 0);
    const users = await Promise.all([again, two, three, four].map((session) => reload(manager, session)));
    assert.deepEqual(
      users.map(({ userId }) => userId),
      [undefined, undefined, "carol", "dave"],
    );
    // A login without tags takes them off, on one session as on a new one.
    await login(manager, "carol", three);
    assert.equal(await manager.destroyByTag("other"), 0);
    assert.deepEqual(await idsOf(manager, "carol"), [three.id]);
  },
  "hooks are told of each login, and of each session that has ended, with its user": async (host) => {
    const told: unknown[] = [];
    const manager = managerOf(host, {
      onLogin: (event) => void told.push(event),
      onEnd: (event) => void told.push(event),
    });
    const session = await manager.loadFrom({}, () => ({ ip: "::ffff:192.0.2.7", userAgent: "Browser/1\n" }));
    await session.login("alice");
    assert.equal(told.length, 0);
    await manager.commit(session);
    const client = { ip: "192.0.2.7", userAgent: "Browser/1 " };
    assert.deepEqual(told.splice(0), [{ userId: "alice", id: session.id, ...client }]);
    assert.deepEqual((await manager.listByUser("alice"))[0]?.ip, undefined);
    await session.renewToken();
    assert.equal(told.length, 0);
    const alices = session.id;
    await session.login("bob");
    assert.deepEqual(told.splice(0), [
      { userId: "alice", id: alices, why: "replaced" },
      { userId: "bob", id: session.id, ...client },
    ]);
    const bobs = session.id;
    await session.logout();
    assert.deepEqual(told.splice(0), [{ userId: "bob", id: bobs, why: "destroyed" }]);
    for (const end of [
      () => manager.destroyByUser("carol"),
      (id: string) => manager.destroyById(id),
      () => manager.destroyByTag("sid"),
    ]) {
      const carols = await manager.load();
      await carols.login("carol", { tags: ["sid"] });
      await manager.commit(carols);
      told.splice(0);
      await end(carols.id ?? "");
      assert.deepEqual(told.splice(0), [{ userId: "carol", id: carols.id, why: "revoked" }]);
    }
    const limited = managerOf(host, { maxSessionsPerUser: 1, onEnd: (event: EndEvent) => void told.push(event) });
    const daves = [await login(limited, "dave"), await login(limited, "dave")];
    const [left] = await idsOf(limited, "dave");
    const ended = daves.find(({ id }) => id !== left)?.id;
    assert.deepEqual(told.splice(0), [{ userId: "dave", id: ended, why: "revoked" }]);
  },
  "a session goes over to whoever logs in": async (host) => {
    const manager = managerOf(host);
    const session = await login(manager, "alice");
    await login(manager, "bob", session);
    assert.deepEqual(await idsOf(manager, "alice"), []);
    assert.deepEqual(await idsOf(manager, "bob"), [session.id]);
    await session.reset();
    session.set("anonymous", true);
    await manager.commit(session);
    assert.deepEqual(await idsOf(manager, "bob"), []);
  },
  "what has expired is not listed, and does not count as ended": async (host) => {
    const manager = managerOf(host);
    const session = await login(manager, "alice");
    await host.expire(session.id ?? "");
    assert.deepEqual(await idsOf(manager, "alice"), []);
    assert.equal(await manager.destroyByUser("alice"), 0);
  },
  "last seen moves with writes and touches": async (host) => {
    const manager = managerOf(host, { idleTimeout: "1h", touchAfter: 0 });
    const session = await login(manager, "alice");
    for (const change of [true, false]) {
      const [before] = await manager.listByUser("alice");
      await waitForNextMillisecond();
      const later = await reload(manager, session);
      if (change) later.set("key", 1);
      await manager.commit(later);
      // The first write asks whether the table has the column.
      const again = await reload(manager, session);
      await waitForNextMillisecond();
      if (change) again.set("key", 2);
      await manager.commit(again);
      const [after] = await manager.listByUser("alice");
      assert.ok(after !== undefined && before !== undefined && after.lastSeen > before.lastSeen);
      assert.equal(after.created.getTime(), before.created.getTime());
    }
  },
  "where a login came from is kept where that is asked for": async (host) => {
    const client = () => ({ ip: "::ffff:192.0.2.7", userAgent: "Browser\u0000/1.0\n" + "x".repeat(600) });
    const recorded = async (options: SessionOptions) => {
      const manager = managerOf(host, options);
      const session = await manager.loadFrom({}, client);
      await session.login("alice");
      await manager.commit(session);
      const [entry] = await manager.listByUser("alice");
      await manager.destroyByUser("alice");
      return [entry?.ip, entry?.userAgent];
    };
    const agent = `Browser /1.0 ${"x".repeat(512 - 13)}`;
    assert.deepEqual(await recorded({}), [undefined, undefined]);
    assert.deepEqual(await recorded({ recordIp: true }), ["192.0.2.7", undefined]);
    assert.deepEqual(await recorded({ recordUserAgent: true }), [undefined, agent]);
    assert.deepEqual(await recorded({ recordIp: true, recordUserAgent: true }), ["192.0.2.7", agent]);
  },
  "where one more begins than a user may have, the oldest ends": async (host) => {
    const manager = managerOf(host, { maxSessionsPerUser: 2 });
    const sessions = [];
    for (let n = 0; n < 4; n++) {
      sessions.push(await login(manager, "alice"));
      await waitForNextMillisecond();
    }
    await login(manager, "bob");
    assert.deepEqual(await idsOf(manager, "alice"), [sessions[3]?.id, sessions[2]?.id]);
    assert.equal((await reload(manager, sessions[1] as AnySession)).userId, undefined);
  },
  "a new token makes no more of them, and needs none to end": async (host) => {
    const session = await login(managerOf(host), "alice");
    await login(managerOf(host), "alice");
    const users = host.store.users as UserStore;
    const trim = users.trim.bind(users);
    users.trim = () => Promise.reject(new Error("no connection"));
    const manager = managerOf(host, { maxSessionsPerUser: 1 });
    const mine = await reload(manager, session);
    await mine.renewToken();
    await manager.commit(mine);
    assert.equal((await reload(manager, mine)).userId, "alice");
    assert.equal((await idsOf(manager, "alice")).length, 2);
    users.trim = trim;
    await waitForNextMillisecond();
    await login(manager, "alice", mine);
    assert.deepEqual(await idsOf(manager, "alice"), [mine.id]);
  },
  "of 50 parallel logins with room for 3 exactly 3 are left": async (host) => {
    const managers = [managerOf(host, { maxSessionsPerUser: 3 }), managerOf(host, { maxSessionsPerUser: 3 })];
    await Promise.all(Array.from({ length: 50 }, (_, n) => login(managers[n % 2] as AnyManager, "alice")));
    assert.equal((await idsOf(managers[0] as AnyManager, "alice")).length, 3);
  },
  "who watches a session hears of its end": async (host) => {
    const manager = managerOf(host);
    const [one, two] = [await login(manager, "alice"), await login(manager, "alice")];
    const heard: string[] = [];
    manager.watch(one, () => heard.push("one"));
    manager.watch(two, () => heard.push("two"));
    await manager.destroyByUser("alice", { except: two });
    assert.deepEqual(heard, ["one"]);
  },
  "who watches a session that another process has renewed or ended hears when it is ended by its earlier id": async (
    host,
  ) => {
    const [manager, elsewhere] = [managerOf(host), managerOf(host)];
    for (const how of ["renewToken", "destroy"] as const) {
      for (const end of [
        (session: AnySession) => manager.destroyById(session.id ?? ""),
        (session: AnySession) => session.destroy(),
      ]) {
        const session = await login(manager, "alice");
        const heard: string[] = [];
        manager.watch(session, () => heard.push("ended"));
        await (await reload(elsewhere, session))[how]();
        assert.equal(await manager.destroyById(session.id ?? "", { userId: "bob" }), false);
        assert.deepEqual(heard, []);
        await end(session);
        assert.deepEqual(heard, ["ended"]);
      }
    }
  },
  "any name will do for a user, and none is mistaken for another": async (host) => {
    const manager = managerOf(host);
    const names = [
      "1",
      " 1",
      "1 ",
      "O'Brien",
      '"',
      "{1,2}",
      "NULL",
      "null",
      "\\",
      "%",
      "_",
      "é",
      "e\u0301",
      "🙂",
      "x".repeat(1024),
    ];
    for (const name of names) await login(manager, name);
    for (const name of names) assert.equal((await manager.listByUser(name)).length, 1, name);
    assert.equal(await manager.destroyByUser("%"), 1);
    assert.equal((await manager.listByUser("_")).length, 1);
  },
  "the longest id of a user in the longest scope has a name by which operators end its sessions": async (host) => {
    const [scope, userId] = ["s".repeat(64), "x".repeat(1024)];
    const manager = managerOf(host, { scope });
    const { id = "" } = await login(manager, userId);
    await login(manager, userId);
    const name = `%${scope}:${userId}`;
    assert.equal((await manager.tableUsers.listByUser(name)).length, 2);
    assert.equal(await manager.tableUsers.destroyById(id, { userId: name }), true);
    assert.equal(await manager.tableUsers.destroyByUser(name), 1);
    await assert.rejects(
      manager.tableUsers.listByUser(`${name}x`),
      /^TypeError: listByUser: userId: expected valid UTF-8/,
    );
  },
  "what can be no user's name is refused where it is given": async (host) => {
    const manager = managerOf(host);
    const session = await manager.load();
    for (const name of ["", "a\0b", "\ud800", "é".repeat(513), undefined, 7, {}]) {
      await assert.rejects(session.login(name as string), /^TypeError: login: userId: expected /);
      await assert.rejects(manager.destroyByUser(name as string), /^TypeError: destroyByUser: userId: expected /);
      await assert.rejects(manager.listByUser(name as string), /^TypeError: listByUser: userId: expected /);
    }
    for (const limit of [0, 2.5, Number.NaN, 5n as never, "5" as never]) {
      await assert.rejects(manager.listByUser("alice", { limit }), /^TypeError: limit: expected a whole number/);
    }
    for (const except of ["a\0b", "\ud800"]) {
      await assert.rejects(manager.destroyByUser("alice", { except }), /^TypeError: except: expected valid UTF-8/);
    }
    await assert.rejects(manager.destroyByUser("alice", { except: 7 as never }), /^TypeError: except/);
  },
};

function waitForNextMillisecond(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2));
}
