import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PgStore, type Session, SessionManager, type SessionOptions } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { type GatedClient, gatedClient } from "../support/gated-client.ts";

type Data = Record<string, unknown>;
type Act = (session: Session<Data>) => unknown;

let database: TestDatabase;
let client: GatedClient;
let store: PgStore;
beforeAll(async () => {
  database = await createDatabase();
  client = gatedClient(database.pool({ max: 2 }));
  store = new PgStore(client, { cleanupInterval: 0 });
  // The first write finds out what columns there are.
  await counting({})(undefined, (session) => session.set("n", 0));
});
afterAll(() => database.drop());

/** Makes a request, and counts its statements. */
function counting(options: SessionOptions) {
  const manager = new SessionManager<Data>(store, options);
  return async (
    token: string | undefined,
    act: Act = () => {},
  ): Promise<{ sent: number; token: string | undefined }> => {
    client.sent.length = 0;
    const session = await manager.load(token);
    await act(session);
    await manager.commit(session);
    return { sent: client.sent.length, token: session.token };
  };
}

const read: Act = (session) => session.get("n");
const increment: Act = (session) => session.update("n", (n) => Number(n ?? 0) + 1);
const login: Act = (session) => session.login("ada");

describe("the statements of a request", () => {
  const cases: Record<string, { options: SessionOptions; touched: number; limited: number }> = {
    "by default": { options: {}, touched: 0, limited: 0 },
    "with an idle timeout, each touched": { options: { idleTimeout: "20m", touchAfter: 0 }, touched: 1, limited: 0 },
    "with a limit of one's own": { options: { maxSessionsPerUser: 10 }, touched: 0, limited: 1 },
    "without a limit": { options: { maxSessionsPerUser: Number.POSITIVE_INFINITY }, touched: 0, limited: 0 },
  };
  for (const [name, { options, touched, limited }] of Object.entries(cases)) {
    it(`are as few as they were: ${name}`, async () => {
      const request = counting(options);
      const counts: Record<string, number> = {};
      const count = async (what: string, token: string | undefined, act?: Act): Promise<string | undefined> => {
        const done = await request(token, act);
        counts[what] = done.sent;
        return done.token;
      };
      await count("GET without a cookie", undefined, read);
      await count("GET with an unknown token", "x".repeat(43), read);
      const visitor = await count("INC, the first one", undefined, increment);
      await count("GET", visitor, read);
      await count("INC", visitor, increment);
      await count("login without a session", undefined, login);
      const ada = await count("login", visitor, login);
      await count("GET of a user", ada, read);
      const renewed = await count("renewToken", ada, (session) => session.renewToken());
      await count("log-out", renewed, (session) => session.logout());
      await count("GET after the log-out", renewed, read);
      expect(counts).toEqual({
        "GET without a cookie": 0,
        "GET with an unknown token": 1,
        "INC, the first one": 1,
        GET: 1 + touched,
        INC: 2,
        "login without a session": 1 + limited,
        // What login or renewToken has stored is touched by the commit at the end of the request.
        login: 2 + limited + touched,
        "GET of a user": 1 + touched,
        renewToken: 2 + touched,
        "log-out": 2,
        "GET after the log-out": 1,
      });
    });
  }

  it("are one more for a login that is one too many under the default limit", async () => {
    await database.pool().query(
      `INSERT INTO sessions (token, data, expiry, user_id, created)
       SELECT 'row ' || n, '{}', now() + interval '1 hour', 'eve', now() - n * interval '1 minute' FROM generate_series(1, 99) n`,
    );
    const request = counting({});
    const logins: number[] = [];
    for (const tags of [undefined, ["sid"], undefined]) {
      const visitor = await request(undefined, increment);
      logins.push((await request(visitor.token, (session) => session.login("eve", tags && { tags }))).sent);
      const { rows } = await database
        .pool()
        .query("SELECT count(*)::int AS n FROM sessions WHERE user_id = 'eve' AND expiry > now()");
      expect(rows).toEqual([{ n: 100 }]);
    }
    expect(logins).toEqual([2, 3, 3]);
  });
});

describe("the first writes of a process", () => {
  it("ask once what columns there are, however many they are", async () => {
    const fresh = new PgStore(client, { cleanupInterval: 0 });
    const soon = new Date(Date.now() + 60_000);
    const data = new Uint8Array([1]);
    await store.save("first", data, soon);
    await store.save("second", data, soon);
    await fresh.find("first");
    client.sent.length = 0;
    const writes = [fresh.replace("first", data, data, soon), fresh.touch("second", soon)];
    expect(await Promise.all(writes)).toEqual([true, true]);
    expect(client.sent.length).toBe(3);
    await fresh.touch("second", soon);
    expect(client.sent.length).toBe(4);
  });
});

describe("the statements that end every session", () => {
  it("don't grow with what a session was renewed from", async () => {
    const manager = new SessionManager<Data>(store);
    const session = await manager.load();
    await session.login("ada");
    await manager.commit(session);
    for (let n = 0; n < 20; n++) await session.renewToken();
    await database.pool().query("DELETE FROM sessions WHERE user_id IS DISTINCT FROM 'ada'");
    client.sent.length = 0;
    await manager.destroyAll();
    // The time, the page, and where its tombstones lead.
    expect(client.sent.length).toBeLessThanOrEqual(3);
    expect((await manager.load(session.token)).userId).toBe(undefined);
  });
});
