import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  MemoryStore,
  type PgClient,
  PgStore,
  type Session,
  SessionManager,
  StoreUnavailableError,
  LoginRefusedError,
} from "../../src/index.ts";
import { AppProcess } from "../support/app-process.ts";
import { startCutProxy } from "../support/cut-proxy.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
let pool: pg.Pool;
let manager: SessionManager<Record<string, unknown>>;
let watcher: pg.Pool;

beforeAll(async () => {
  database = await createDatabase({ template: false });
  pool = database.pool({ max: 10 });
  watcher = database.pool({ max: 1, application_name: "watcher" });
  const store = new PgStore(pool, { cleanupInterval: 0, queryTimeout: "30s" });
  await store.migrate();
  manager = new SessionManager(store);
});
beforeEach(async () => {
  await watcher.query("TRUNCATE sessions, sessions_users");
});
afterAll(() => database.drop());

type AnySession = Session<Record<string, unknown>>;

async function loggedIn(): Promise<AnySession> {
  const session = await manager.load();
  await session.login("alice");
  await manager.commit(session);
  return session;
}

/** Waits until so many statements wait for a lock. */
async function waiting(count: number): Promise<void> {
  for (;;) {
    const { rows } = await watcher.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    if (rows[0]?.n === count) return;
  }
}

/** Begins the operations one after the other, each when the one before waits for the user's row, then lets them go on in that order, the first one certainly. */
async function inThisOrder<T>(operations: (() => Promise<T>)[]): Promise<T[]> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    await client.query("SELECT FROM sessions_users WHERE user_id = 'alice' FOR UPDATE");
    const begun: Promise<T>[] = [];
    for (const [index, operation] of operations.entries()) {
      begun.push(operation());
      await waiting(index + 1);
    }
    await client.query("COMMIT");
    return await Promise.all(begun);
  } finally {
    client.release();
  }
}

/** A commit of a session in which somebody has just logged in, and what it has come to. */
async function login(session: AnySession): Promise<string> {
  try {
    await session.login("alice");
    const { kind } = await manager.commit(session);
    const found = await manager.load(session.token);
    return `${kind}, ${found.userId ?? "anonymous"}`;
  } catch (error) {
    if (error instanceof LoginRefusedError) return "refused";
    throw error;
  }
}

describe("the end of a user's sessions, while it waits behind a login", () => {
  it("ends that too, though its row was not there when it began", async () => {
    await loggedIn();
    const [fresh, anonymous] = [await manager.load(), await manager.load()];
    anonymous.set("basket", 1);
    await manager.commit(anonymous);
    const [first, second, ended] = await inThisOrder<unknown>([
      () => login(fresh),
      () => login(anonymous),
      () => manager.destroyByUser("alice"),
    ]);
    // Of three that wait, PostgreSQL may let the third go before the second, which is refused then.
    const done = [first, second].filter((login) => String(login).startsWith("set")).length;
    expect(done).toBeGreaterThan(0);
    expect(ended).toBe(1 + done);
    expect(await manager.listByUser("alice")).toEqual([]);
    for (const session of [fresh, anonymous]) expect((await manager.load(session.token)).userId).toBe(undefined);
  });

  it("ends a session that is being renewed under its new token", async () => {
    const session = await loggedIn();
    await inThisOrder<unknown>([() => session.renewToken(), () => manager.destroyByUser("alice")]);
    expect(await manager.listByUser("alice")).toEqual([]);
    expect((await manager.load(session.token)).userId).toBe(undefined);
  });
});

describe("a login that waits behind the end of the user's sessions", () => {
  it("rejects, as it began before they had ended, and what was in the session stays", async () => {
    await loggedIn();
    const [fresh, anonymous] = [await manager.load(), await manager.load()];
    anonymous.set("basket", 1);
    await manager.commit(anonymous);
    const results = await inThisOrder<unknown>([
      () => manager.destroyByUser("alice"),
      () => login(fresh),
      () => login(anonymous),
    ]);
    expect(results).toEqual([1, "refused", "refused"]);
    expect(await manager.listByUser("alice")).toEqual([]);
    // A commit that is tried again does not log in either.
    expect((await manager.commit(fresh)).kind).toBe("nothing");
    await manager.commit(anonymous);
    const found = await manager.load(anonymous.token);
    expect([fresh.userId, found.userId, found.get("basket")]).toEqual([undefined, undefined, 1]);
  });

  it("rejects also when it had begun by the time of the database, though it sees the end", async () => {
    await loggedIn();
    const early = await pool.connect();
    try {
      await early.query("BEGIN");
      await early.query("SELECT current_timestamp");
      await manager.destroyByUser("alice");
      const behind = new SessionManager<Record<string, unknown>>(new PgStore(early, { cleanupInterval: 0 }));
      const [fresh, anonymous] = [await behind.load(), await behind.load()];
      await fresh.login("alice");
      await expect(behind.commit(fresh)).rejects.toThrow(LoginRefusedError);
      anonymous.set("basket", 1);
      await behind.commit(anonymous);
      await expect(anonymous.login("alice")).rejects.toThrow(LoginRefusedError);
      await early.query("ROLLBACK");
    } finally {
      early.release();
    }
  });

  it("logs in when the database's clock was set back since, and is listed as later than that end", async () => {
    await loggedIn();
    await manager.destroyByUser("alice");
    await watcher.query("UPDATE sessions_users SET revoked = revoked + interval '30 s'");
    const anonymous = await manager.load();
    anonymous.set("basket", 1);
    await manager.commit(anonymous);
    for (const session of [await manager.load(), anonymous]) expect(await login(session)).toMatch(/alice$/);
    const { rows } = await watcher.query(
      `SELECT count(*) FILTER (WHERE s.created >= u.revoked)::int AS late, count(*)::int AS live
       FROM sessions s JOIN sessions_users u USING (user_id) WHERE s.expiry > current_timestamp`,
    );
    expect(rows).toEqual([{ late: 2, live: 2 }]);
    expect(await manager.destroyByUser("alice")).toBe(2);
  });

  it("leaves a later one alone", async () => {
    await loggedIn();
    await manager.destroyByUser("alice");
    expect(await login(await manager.load())).toBe("set, alice");
    expect(await manager.listByUser("alice")).toHaveLength(1);
  });

  it("keeps a session that was excepted, and may be renewed", async () => {
    const [mine] = [await loggedIn(), await loggedIn()];
    const ended = await inThisOrder<unknown>([
      () => manager.destroyByUser("alice", { except: mine }),
      () => mine.renewToken(),
    ]);
    expect(ended[0]).toBe(1);
    await manager.commit(mine);
    expect((await manager.load(mine.token)).userId).toBe("alice");
  });
});

describe("the end of a tag's sessions", () => {
  const tagged = async (session: AnySession, tags = ["sid"]): Promise<string> => {
    try {
      await session.login("alice", { tags });
      await manager.commit(session);
      return "done";
    } catch (error) {
      if (error instanceof LoginRefusedError) return "refused";
      throw error;
    }
  };

  /** Begins operations while another transaction holds a lock, and lets them go on. */
  const whileLocked = async (lock: string, begin: () => Promise<Promise<unknown>[]>): Promise<unknown[]> => {
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      await client.query(lock);
      const begun = await begin();
      await client.query("COMMIT");
      return await Promise.all(begun);
    } finally {
      await client.query("ROLLBACK");
      client.release();
    }
  };

  it("waits for a login that is being written, and refuses one that comes meanwhile", async () => {
    await tagged(await manager.load());
    const [early, late, other, anonymous] = await Promise.all([1, 2, 3, 4].map(() => manager.load()));
    if (!early || !late || !other || !anonymous) throw new Error("no sessions");
    anonymous.set("basket", 1);
    await manager.commit(anonymous);
    const outcomes = await whileLocked("SELECT FROM sessions_users WHERE user_id = 'alice' FOR UPDATE", async () => {
      const waits = tagged(early, ["other", "sid"]);
      await waiting(1);
      const ended = manager.destroyByTag("sid");
      await waiting(2);
      expect(await tagged(late, ["x", "sid"])).toBe("refused");
      expect(await tagged(anonymous)).toBe("refused");
      return [waits, ended, tagged(other, ["x"])];
    });
    expect(outcomes).toEqual(["done", 2, "done"]);
    const found = await Promise.all([early, late, other, anonymous].map(({ token }) => manager.load(token)));
    expect(found.map(({ userId }) => userId)).toEqual([undefined, undefined, "alice", undefined]);
    expect(found[3]?.get("basket")).toBe(1);
    expect(await tagged(late)).toBe("done");
    expect(await manager.destroyByTag("sid")).toBe(1);
  });

  it("ends a session that is being renewed", async () => {
    const session = await manager.load();
    await tagged(session);
    const [, ended] = await whileLocked("SELECT FROM sessions FOR UPDATE", async () => {
      const renewed = session.renewToken();
      await waiting(1);
      const ending = manager.destroyByTag("sid");
      await waiting(2);
      return [renewed, ending];
    });
    expect(ended).toBe(1);
    expect((await manager.load(session.token)).userId).toBe(undefined);
  });
});

describe("what ends several of a user's sessions", () => {
  it.each<[string, (store: PgStore) => Promise<string[]> | undefined]>([
    ["end", (store) => store.users?.end("alice", [])],
    ["trim", (store) => store.users?.trim("alice", 0)],
  ])("takes their rows in the order in which batches do: %s", async (_name, act) => {
    const errors: unknown[] = [];
    // As a database whose collation is not the alphabet's would not have it: B, a, c.
    const tokens = ["a", "B", "c"];
    await watcher.query(
      `INSERT INTO sessions SELECT t, 'x', now() + interval '1 h', 'alice', now() - n * interval '1 minute'
       FROM unnest($1::text[]) WITH ORDINALITY v(t, n)`,
      [tokens],
    );
    const db: PgClient = {
      query: (text, values) =>
        pool.query(text, values).catch((error: unknown) => {
          errors.push(error);
          throw error;
        }),
    };
    const store = new PgStore(db, { cleanupInterval: 0, queryTimeout: "30s" });
    const later = new Date(Date.now() + 7_200_000);
    const client = await pool.connect();
    await client.query("BEGIN");
    await client.query("UPDATE sessions SET expiry = expiry + interval '1 s' WHERE token = 'a'");
    const ended = act(store);
    await waiting(1);
    // The first touch leaves alone, those that come meanwhile share a statement.
    const touched = ["none", ...tokens.toReversed()].map((token) => store.touch(token, later));
    await waiting(2);
    await client.query("COMMIT");
    client.release();
    expect((await ended)?.toSorted()).toEqual(tokens.toSorted());
    expect(await Promise.all(touched)).toEqual([false, false, false, false]);
    expect(errors).toEqual([]);
  });

  it("says so when logins of that user don't let it come to an end", async () => {
    await watcher.query(`
      CREATE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.last_login = clock_timestamp() + interval '1 day'; RETURN NEW; END $$;
      CREATE TRIGGER meanwhile BEFORE UPDATE OF revoked ON sessions_users FOR EACH ROW EXECUTE FUNCTION meanwhile()`);
    try {
      const session = await loggedIn();
      await expect(manager.destroyByUser("alice")).rejects.toThrow(StoreUnavailableError);
      expect((await manager.load(session.token)).userId).toBe(undefined);
    } finally {
      await watcher.query("DROP FUNCTION meanwhile CASCADE");
    }
  });
});

describe("a login whose connection is lost", () => {
  it("is not made again, as it would then be a later one", async () => {
    await loggedIn();
    const session = await manager.load();
    const client = await watcher.connect();
    try {
      await client.query("BEGIN");
      await client.query("SELECT FROM sessions_users WHERE user_id = 'alice' FOR UPDATE");
      const failing = expect(login(session)).rejects.toThrow(/^the connection was lost during a write/);
      const waits = "wait_event_type = 'Lock' AND datname = current_database()";
      await expect
        .poll(
          async () =>
            (await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${waits}`)).rowCount,
        )
        .toBe(1);
      await failing;
      await client.query("COMMIT");
    } finally {
      client.release();
    }
    expect(await manager.listByUser("alice")).toHaveLength(1);
  });

  it("counts as done when it was", async () => {
    const proxy = await startCutProxy(Number(new URL(database.url).port));
    const through = new pg.Pool({ connectionString: proxy.through(database.url), max: 1 });
    through.on("error", () => {});
    const cut = new SessionManager(new PgStore(through, { cleanupInterval: 0 }));
    const session = await cut.load();
    await session.login("alice");
    proxy.cutAfter("SELECT");
    expect((await cut.commit(session)).kind).toBe("set");
    expect(proxy.cuts).toBe(1);
    expect((await manager.load(session.token)).userId).toBe("alice");
    await through.end();
    await proxy.close();
  });
});

describe("logins in two processes beside the end of the user's sessions", () => {
  it("leave none alive that began before it had resolved", async () => {
    const apps = await Promise.all([AppProcess.start(database.url), AppProcess.start(database.url)]);
    try {
      for (let round = 0; round < 5; round++) {
        const logins = apps.flatMap((app) =>
          Array.from({ length: 50 }, () => app.request("login", { key: "alice", hold: true })),
        );
        const revoke = apps[0]?.request("revoke", { key: "alice", hold: true });
        await apps[0]?.arrived(51);
        await apps[1]?.arrived(50);
        for (const app of apps) app.go();
        const answers = await Promise.all(logins);
        await revoke;
        for (const { status } of answers) expect([200, 500]).toContain(status);
        // Whoever has got in is a login that the database took up after the end: the row of the user tells when that was.
        const { rows } = await watcher.query<{ early: number }>(
          `SELECT count(*) FILTER (WHERE s.created < u.revoked)::int AS early
           FROM sessions s JOIN sessions_users u USING (user_id) WHERE s.expiry > current_timestamp`,
        );
        expect(rows).toEqual([{ early: 0 }]);
        // Who holds a cookie of a session that has ended is nobody.
        const live = new Set((await manager.listByUser("alice")).map(({ id }) => id));
        for (const { cookie } of answers.filter(({ status }) => status === 200)) {
          const session = await manager.load(cookie?.split("=")[1]);
          expect(session.userId).toBe(live.has(session.id ?? "") ? "alice" : undefined);
        }
        expect(await manager.destroyByUser("alice")).toBe(live.size);
        expect(await manager.listByUser("alice")).toEqual([]);
      }
    } finally {
      for (const app of apps) app.stop();
    }
  }, 60_000);
});

describe("very many sessions of one user", () => {
  const MANY = 3000;
  let unlimited: SessionManager<Record<string, unknown>>;
  beforeAll(() => {
    unlimited = new SessionManager(manager.store, { maxSessionsPerUser: Number.POSITIVE_INFINITY });
  });
  const live = async (): Promise<number> => {
    const { rows } = await watcher.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM sessions WHERE user_id = 'alice' AND expiry > now() AND data <> ''",
    );
    return rows[0]?.n ?? 0;
  };
  /** A third of one instant, a third of none, all others before the one that has logged in. */
  const fill = async (): Promise<AnySession> => {
    await watcher.query(
      `INSERT INTO sessions (token, data, expiry, user_id, created, last_seen)
       SELECT 'many ' || g, convert_to('{"data":{},"deadline":4000000000000000000}', 'UTF8'), now() + interval '1 day', 'alice',
         CASE g % 3 WHEN 0 THEN at - interval '1 hour' WHEN 1 THEN NULL ELSE at - g * interval '1 ms' END, now()
       FROM generate_series(1, $1::int) g, date_trunc('milliseconds', now()) at`,
      [MANY],
    );
    const session = await unlimited.load();
    await session.login("alice");
    await unlimited.commit(session);
    return session;
  };

  it("end page by page, but for the one that is spared, and who watches them hears", async () => {
    const mine = await fill();
    await watcher.query(
      "INSERT INTO sessions (token, data, expiry, user_id, created) VALUES ('bob', '{}', now() + interval '1 day', 'bob', now())",
    );
    const ended = new SessionManager<Record<string, unknown>>(manager.store, { hashTokens: false });
    const heard: string[] = [];
    const { rows } = await watcher.query<{ token: string }>(
      "SELECT token FROM sessions WHERE token LIKE 'many %' ORDER BY random() LIMIT 1",
    );
    const listed = mine.id ?? "";
    await mine.renewToken();
    for await (const session of ended.iterate()) {
      if (session.id === rows[0]?.token) ended.watch(session, () => heard.push("other"));
    }
    manager.watch(mine, () => heard.push("mine"));
    expect(await ended.destroyByUser("alice", { except: listed })).toBe(MANY);
    expect([await live(), heard]).toEqual([1, ["other"]]);
    expect((await manager.load(mine.token)).userId).toBe("alice");
    expect(await manager.listByUser("bob")).toHaveLength(1);
  });

  it("are listed in pages of 100, and ended by the limit with the next login", async () => {
    const session = await fill();
    await watcher.query(
      "UPDATE sessions SET created = date_trunc('milliseconds', now()) - interval '2 hours' WHERE created IS NULL",
    );
    const first = await manager.listByUser("alice");
    expect([first.length, first[0]?.id]).toEqual([100, session.id]);
    const ids = new Set<string>();
    for (
      let page = first;
      page.length > 0;
      page = await manager.listByUser("alice", { limit: 1000, after: page.at(-1) })
    ) {
      for (const { id } of page) ids.add(id);
    }
    expect(ids.size).toBe(MANY + 1);
    const another = await loggedIn();
    await expect.poll(live).toBe(100);
    expect((await manager.listByUser("alice"))[0]?.id).toBe(another.id);
  });

  it("end where sessions go on under other tokens meanwhile", async () => {
    const running = { now: true };
    const evader = await fill();
    const renewing = (async () => {
      while (running.now) {
        await evader.renewToken();
        if (evader.token === undefined) return;
      }
    })().catch(() => {});
    await manager.destroyByUser("alice");
    expect(await live()).toBe(0);
    running.now = false;
    await renewing;
    expect(await live()).toBe(0);
  });
});

describe("destroyAll", () => {
  it("ends every session, tells how far it is, and misses none that is renewed meanwhile", async () => {
    await watcher.query(
      `INSERT INTO sessions (token, data, expiry)
       SELECT 'any ' || g, '{}', now() + g * interval '1 minute' FROM generate_series(-5, 5000) g`,
    );
    const sessions = await Promise.all(Array.from({ length: 5 }, () => loggedIn()));
    const running = { now: true };
    const renewing = sessions.map(async (session) => {
      while (running.now && session.token !== undefined) await session.renewToken().catch(() => {});
    });
    const heard: string[] = [];
    const quiet = await loggedIn();
    manager.watch(quiet, () => heard.push("ended"));
    const progress: number[] = [];
    const ended = await manager.destroyAll({ onProgress: (at) => progress.push(at.ended) });
    expect(await manager.store.count?.()).toBe(0);
    running.now = false;
    await Promise.all(renewing);
    expect(await manager.store.count?.()).toBe(0);
    expect(ended).toBe(5006);
    expect(progress.at(-1)).toBe(ended);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(progress.length).toBeGreaterThan(1);
    expect(heard).toEqual(["ended"]);
    expect(await manager.destroyAll()).toBe(0);
  });

  it("stops where its listener throws, and goes on when it is called again", async () => {
    await watcher.query(
      "INSERT INTO sessions (token, data, expiry) SELECT 'any ' || g, '{}', now() + interval '1 hour' FROM generate_series(1, 3000) g",
    );
    const stop = new Error("enough");
    const stopping = manager.destroyAll({
      onProgress: () => {
        throw stop;
      },
    });
    await expect(stopping).rejects.toBe(stop);
    expect(await manager.destroyAll()).toBe(2000);
    await expect(manager.destroyAll({ onProgress: 7 as never })).rejects.toThrow(/^onProgress: /);
  });

  it("works on a store that can only list, and names what is missing of others", async () => {
    const memory = new MemoryStore({ cleanupInterval: 0 });
    const plain = {
      find: memory.find.bind(memory),
      save: memory.save.bind(memory),
      delete: memory.delete.bind(memory),
    };
    const own = new SessionManager<Record<string, unknown>>({ ...plain, all: memory.all.bind(memory) });
    const session = await own.load();
    await session.login("alice");
    await own.commit(session);
    expect(await own.destroyById(session.id ?? "", { userId: "bob" })).toBe(false);
    expect(await own.destroyAll()).toBe(1);
    expect((await own.load(session.token)).status).toBe("new");
    await expect(new SessionManager(plain).destroyAll()).rejects.toThrow(TypeError);
  });
});
