import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type PgClient, PgStore, type PgStoreOptions, SessionManager, StoreUnavailableError } from "../../src/index.ts";
import { FENCE_ID } from "../../src/lib/core/token.ts";
import type { Found } from "../../src/lib/core/store.ts";
import { Gate } from "../support/barrier.ts";
import { seeded } from "../support/random.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

const MANY = 3000;

let database: TestDatabase;
let pool: pg.Pool;
let watcher: pg.Pool;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  pool = database.pool({ max: 10 });
  watcher = database.pool({ max: 2, application_name: "watcher" });
  await open().migrate();
});
beforeEach(() => watcher.query("TRUNCATE sessions, sessions_users"));
afterAll(() => database.drop());

function open(options: PgStoreOptions = {}, db: PgClient = pool): PgStore {
  return new PgStore(db, { cleanupInterval: 0, queryTimeout: "30s", ...options });
}
const managerOf = (store: PgStore) =>
  new SessionManager<Record<string, unknown>>(store, { maxSessionsPerUser: Number.POSITIVE_INFINITY });

/** Makes sessions of a user, a millisecond apart and some of no known login, and returns their ids, the newest first. */
async function fill(user: string, unknown = 10): Promise<string[]> {
  await watcher.query(
    `INSERT INTO sessions (token, data, expiry, user_id, created, last_seen)
     SELECT $1 || ' ' || lpad(g::text, 5, '0'), '{}', now() + interval '1 day', $1, CASE WHEN g <= $2::int - $3::int THEN now() - g * interval '1 ms' END, now()
     FROM generate_series(1, $2::int) g`,
    [user, MANY, unknown],
  );
  // In the order of a page: those of no known login are the first.
  const { rows } = await watcher.query<{ token: string }>(
    "SELECT token FROM sessions WHERE user_id = $1 ORDER BY created DESC, token DESC",
    [user],
  );
  return rows.map(({ token }) => token);
}

async function live(user: string): Promise<number> {
  const { rows } = await watcher.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM sessions WHERE user_id = $1 AND expiry > now()",
    [user],
  );
  return rows[0]?.n ?? 0;
}

const isUp = async (): Promise<boolean> =>
  (await watcher.query("SELECT FROM sessions WHERE token = $1", [FENCE_ID])).rowCount === 1;

/** What becomes of look-ups of many sessions, each answer once. */
const answers = async (store: PgStore, ids: readonly string[]): Promise<unknown[]> => {
  const found = await Promise.all(ids.map((id) => store.lookUp(id)));
  return [...new Set(found.map((each) => (typeof each === "object" ? "session" : each)))];
};

const later = (): Date => new Date(Date.now() + 3_600_000);
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const data = bytes("{}");

/** Ends a user's sessions while another transaction holds a row of the second page, and acts meanwhile. */
async function whileHeld<T>(ending: () => Promise<T>, held: string, act: () => Promise<void>): Promise<T> {
  const client = await watcher.connect();
  try {
    await client.query("BEGIN");
    await client.query("SELECT FROM sessions WHERE token = $1 FOR UPDATE", [held]);
    const ended = ending();
    for (let waiting = 0; waiting === 0;) {
      const { rows } = await client.query<{ n: number }>(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      waiting = rows[0]?.n ?? 0;
    }
    await act();
    await client.query("COMMIT");
    return await ended;
  } finally {
    await client.query("ROLLBACK");
    client.release();
  }
}

/** A client of a process that dies when it is about to end the second page. */
function dying(): PgClient {
  return {
    query: (text, values) =>
      text.startsWith("WITH RECURSIVE spared")
        ? Promise.reject(new Error("the process is dead"))
        : pool.query(text, values),
  };
}

/** The first row of the second page, in the order of tokens: no row of that page is locked while it waits for this one. */
const heldOf = (ids: readonly string[]): string => ids.slice(1000, 2000).toSorted()[0] ?? "";

describe("very many sessions of a user, while their pages wait", () => {
  it.each(["2m", "0s"] as const)("are over all at once, in each process: endedGrace %s", async (endedGrace) => {
    const [store, other] = [open({ endedGrace }), open({ endedGrace })];
    const ids = await fill("alice");
    const spared = ids.slice(1500, 1502);
    const rest = ids.slice(1000).filter((id) => !spared.includes(id));
    const bobs = await fill("bob");
    const [victim = "", second = "", third = ""] = rest.slice(500);
    expect(await answers(other, ids)).toEqual(["session"]);
    const ended = await whileHeld(
      () => store.users?.end("alice", spared) ?? Promise.resolve([]),
      heldOf(ids),
      async () => {
        expect(await live("alice")).toBe(MANY - 1000);
        for (const each of [store, other]) {
          expect(await answers(each, rest)).toEqual(["revoked"]);
          expect(await answers(each, [victim])).toEqual(["revoked"]);
          expect(await answers(each, [...spared, ...bobs])).toEqual(["session"]);
          expect(await answers(each, spared.slice(0, 1))).toEqual(["session"]);
        }
        // Requests that have found theirs before.
        const write = async (id: string) => {
          const owner = { userId: id.split(" ")[0] ?? "", goesOn: true };
          return [
            await other.touch(id, later()),
            await other.replace(id, data, bytes("new"), later()),
            await other.renew(id, `${id} renewed`, bytes("new"), data, later(), { owner }),
          ];
        };
        expect(await write(victim)).toEqual([false, false, false]);
        expect(await write(spared[0] ?? "")).toEqual([true, true, true]);
        expect(await write(bobs[0] ?? "")).toEqual([true, true, true]);
        expect(await answers(other, [victim])).toEqual(["revoked"]);
        expect(await answers(other, [`${spared[0]} renewed`, spared[1] ?? ""])).toEqual(["session"]);
        // A log-out, and a login of the same browser.
        expect(await other.end(second)).toBe(true);
        expect(await other.supersede(third, "another")).toBe(true);
        expect(await other.lookUp(third)).toBe(endedGrace === "0s" ? undefined : "replaced");
        const session = await managerOf(other).load();
        await session.login("alice");
        await managerOf(other).commit(session);
        expect((await managerOf(store).load(session.token)).userId).toBe("alice");
      },
    );
    expect(ended).toHaveLength(MANY - 2 - 2);
    expect([await live("alice"), await live("bob"), await isUp()]).toEqual([3, MANY, false]);
  });

  it("stay so when another user's end is done meanwhile, and when theirs is while somebody asks", async () => {
    const store = open();
    const ids = await fill("alice");
    await fill("bob");
    const [asked, released] = [new Gate(), new Gate()];
    const slow = open(
      {},
      {
        async query(text, values) {
          if (text.startsWith("WITH RECURSIVE entry")) {
            asked.open();
            await released.wait();
          }
          return pool.query(text, values);
        },
      },
    );
    const found: Promise<Found>[] = [];
    await whileHeld(
      () => store.users?.end("alice", []) ?? Promise.resolve([]),
      heldOf(ids),
      async () => {
        expect(await open().users?.end("bob", [])).toHaveLength(MANY);
        expect(await answers(store, ids.slice(1000))).toEqual(["revoked"]);
        found.push(slow.lookUp(ids[2500] ?? ""));
        await asked.wait();
      },
    );
    expect(await isUp()).toBe(false);
    released.open();
    expect(await Promise.all(found)).toEqual(["revoked"]);
  });

  it("are over too where they are too many, and the newest go on", async () => {
    const store = open();
    const ids = (await fill("alice")).slice(10);
    await whileHeld(
      () => store.users?.trim("alice", 100) ?? Promise.resolve([]),
      ids.slice(1100, 2100).toSorted()[0] ?? "",
      async () => {
        expect(await answers(store, ids.slice(0, 100))).toEqual(["session"]);
        expect(await answers(store, ids.slice(1100))).toEqual(["revoked"]);
      },
    );
    expect(await isUp()).toBe(false);
  });

  it("are not found by any look-up that begins after one has told", async () => {
    const [store, other] = [open(), open()];
    const ids = (await fill("alice")).slice(1000);
    const random = seeded(29);
    const state = { isOver: false, isDone: false, sessions: 0 };
    const reading = [store, other].flatMap((each) =>
      Array.from({ length: 8 }, async () => {
        while (!state.isDone) {
          const { isOver } = state;
          const found = await each.lookUp(ids[Math.floor(random() * ids.length)] ?? "");
          if (found === "revoked") state.isOver = true;
          else state.sessions++;
          if (isOver) expect(found).toBe("revoked");
        }
      }),
    );
    while (state.sessions === 0) await sleep(1);
    await store.users?.end("alice", []);
    state.isDone = true;
    await Promise.all(reading);
    expect(state.isOver).toBe(true);
  });

  it("may be those of several users at once", async () => {
    const users = ["alice", "bob", "carol"];
    for (const user of users) await fill(user);
    const store = open();
    const [cleaner, state] = [open(), { isDone: false }];
    const cleaning = (async () => {
      while (!state.isDone) await cleaner.deleteExpired();
    })();
    await Promise.all(users.map(async (user) => store.users?.end(user, [])));
    state.isDone = true;
    await cleaning;
    expect(await Promise.all(users.map(live))).toEqual([0, 0, 0]);
    expect(await isUp()).toBe(false);
  });
});

describe("a write that was carried out before the fence, and whose answer was lost", () => {
  it("counts as refused behind it, as the session is over", async () => {
    const [over = "", spared = ""] = (await fill("alice")).slice(1500);
    let writes = 0;
    const store = open(
      {},
      {
        async query(text, values) {
          const answer = await pool.query(text, values);
          if (!text.startsWith("UPDATE") || ++writes > 1) return answer;
          await expect(open({}, dying()).users?.end("alice", [spared])).rejects.toThrow(StoreUnavailableError);
          throw new Error("Connection terminated unexpectedly");
        },
      },
    );
    const replace = (id: string) => store.replace(id, data, bytes("new"), later());
    expect(await Promise.all([replace(over), replace(spared)])).toEqual([false, true]);
    expect(await answers(open(), [over])).toEqual(["revoked"]);
  });
});

describe("the end of very many sessions whose process dies", () => {
  const die = (except: string[]) =>
    expect(open({}, dying()).users?.end("alice", except)).rejects.toThrow(StoreUnavailableError);

  it("leaves none to be found, and another process's cleanup finishes it", async () => {
    const ids = await fill("alice");
    const mine = ids[1500] ?? "";
    await die([mine]);
    const store = open();
    expect(await live("alice")).toBe(MANY - 1000);
    expect(await answers(store, ids.toSpliced(1500, 1))).toEqual(["revoked"]);
    // It goes on under other tokens, and so long that the way from one to the other would be forgotten.
    const owner = { userId: "alice", goesOn: true };
    expect(await store.renew(mine, "b", data, data, later(), { owner })).toBe(true);
    expect(await store.renew("b", "c", data, data, later(), { owner })).toBe(true);
    await watcher.query(
      "UPDATE sessions SET expiry = expiry - interval '1 hour' WHERE token <> $1 AND expiry < now()",
      [FENCE_ID],
    );
    await store.deleteExpired();
    expect([await live("alice"), await isUp()]).toEqual([1, false]);
    expect(await answers(store, ["c"])).toEqual(["session"]);
    await store.deleteExpired();
    expect(await store.lookUp(mine)).toBe(undefined);
  });

  it("leaves none of those whose login nobody knows", async () => {
    const ids = await fill("alice", 2000);
    await die([]);
    expect(await answers(open(), ids)).toEqual(["revoked"]);
    await open().deleteExpired();
    expect([await live("alice"), await isUp()]).toEqual([0, false]);
  });

  it("is finished by the periodic cleanup, one turn being enough", async () => {
    await fill("alice");
    await die([]);
    const store = open({ cleanupInterval: "10ms" });
    await expect.poll(() => isUp(), { timeout: 10_000 }).toBe(false);
    await store.close();
    expect(await live("alice")).toBe(0);
  });

  it("is finished also beside others, and stops where the caller wants it to", async () => {
    await fill("alice");
    await die([]);
    await fill("bob");
    const stop = new AbortController();
    const stopped = open(
      {},
      {
        query: (text, values) => {
          if (text.startsWith("SELECT e.entry")) stop.abort();
          return pool.query(text, values);
        },
      },
    ).deleteExpired({ signal: stop.signal });
    await expect(stopped).rejects.toThrow(/abort/);
    expect([await live("alice"), await isUp()]).toEqual([MANY - 1000, true]);
    await Promise.all([open().deleteExpired(), open().deleteExpired(), open().users?.end("bob", [])]);
    expect([await live("alice"), await live("bob"), await isUp()]).toEqual([0, 0, false]);
  });

  it("stops nobody where the columns have gone since", async () => {
    const ids = await fill("alice");
    await die([]);
    const client = await watcher.connect();
    try {
      await client.query("BEGIN; ALTER TABLE sessions RENAME user_id TO gone; COMMIT");
      expect(await answers(open(), ids.slice(2000))).toEqual(["session"]);
      expect(await open().touch(ids[2000] ?? "", later())).toBe(true);
    } finally {
      await client.query("ALTER TABLE sessions RENAME gone TO user_id");
      client.release();
    }
  });
});

describe("the row of the fence", () => {
  it("is no session, for nobody", async () => {
    await fill("alice");
    await expect(open({}, dying()).users?.end("alice", [])).rejects.toThrow();
    expect(await isUp()).toBe(true);
    const store = open();
    expect(await store.find(FENCE_ID)).toBe(undefined);
    expect([await store.delete(FENCE_ID), await store.end(FENCE_ID), await store.follow(FENCE_ID)]).toEqual([
      false,
      false,
      undefined,
    ]);
    expect(await store.terminate(FENCE_ID, "revoked")).toBe(undefined);
    expect(await isUp()).toBe(true);
    const writes = [
      () => store.save(FENCE_ID, data, later()),
      () => store.create(FENCE_ID, data, later()),
      () => store.upsert(FENCE_ID, data, later()),
      () => store.touch(FENCE_ID, later()),
      () => store.renew("a", FENCE_ID, data, data, later()),
    ];
    for (const write of writes)
      await expect((async () => write())()).rejects.toThrow(/^id: "pgstore:fence" is reserved/);
    for (const hashTokens of [true, false]) {
      const manager = new SessionManager(store, { hashTokens });
      expect((await manager.load(FENCE_ID)).status).toBe("new");
      expect(await manager.destroyById(FENCE_ID)).toBe(false);
    }
    const listed: string[] = [];
    for await (const { id: token } of store.all()) listed.push(token);
    expect(listed).toHaveLength(MANY - 1000);
    expect(listed).not.toContain(FENCE_ID);
    expect(await store.count()).toBe(MANY - 1000);
    expect((await store.operations?.stats())?.expired).toBe(0);
    expect(await store.check()).toEqual([]);
    await watcher.query("DELETE FROM sessions WHERE token <> $1", [FENCE_ID]);
    expect(await store.deleteExpired()).toBe(0);
    expect(await isUp()).toBe(false);
  });
});
