import { afterAll, beforeAll, expect, it } from "vitest";
import { type PgClient, PgStore, SessionManager, StoreUnavailableError } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

it("a step whose connection was lost before it was carried out counts, though another process has taken the same one", async () => {
  const pool = database.pool();
  let beforeTheLoss: (() => Promise<unknown>) | undefined;
  const losing: PgClient = {
    query: async (text, values) => {
      if (text.startsWith("UPDATE") && beforeTheLoss !== undefined) {
        const meanwhile = beforeTheLoss;
        beforeTheLoss = undefined;
        await meanwhile();
        throw Object.assign(new Error("expected by the test"), { code: "ECONNRESET" });
      }
      return pool.query(text, values);
    },
  };
  const [one, two] = [losing, pool].map(
    (db) => new SessionManager<{ n: number }>(new PgStore(db, { cleanupInterval: 0 })),
  ) as [SessionManager<{ n: number }>, SessionManager<{ n: number }>];
  const begun = await two.load();
  begun.set("n", 1);
  await two.commit(begun);
  const raise = async (manager: SessionManager<{ n: number }>): Promise<void> => {
    const session = await manager.load(begun.token);
    session.update("n", (n = 0) => n + 1);
    await manager.commit(session);
  };
  beforeTheLoss = () => raise(two);
  // Whether it was carried out can't be told, or it was made again; what was acknowledged is there.
  const acknowledged = await raise(one).then(
    () => 2,
    () => 1,
  );
  expect((await two.load(begun.token)).get("n")).toBe(1 + acknowledged);
});

/** A pool whose connections break once a renewal has been carried out, until somebody mends them. */
function breaking() {
  const pool = database.pool();
  const state = { armed: false, broken: false };
  const client: PgClient = {
    query: async (text, values) => {
      if (!state.broken) {
        const result = await pool.query(text, values);
        if (!(state.armed && /INSERT INTO/.test(text) && result.rows.length > 0)) return result;
        state.armed = false;
        state.broken = true;
      }
      throw Object.assign(new Error("expected by the test"), { code: "ECONNRESET" });
    },
  };
  return { state, manager: new SessionManager<{ n: number }>(new PgStore(client, { cleanupInterval: 0 })) };
}

for (const what of ["renewToken", "login", "reset"] as const) {
  for (const again of [false, true]) {
    it(`a ${what} that was carried out, though its answer was lost, loses nothing ${again ? "when tried again" : "in the end"}`, async () => {
      const { state, manager } = breaking();
      const user = `${what} ${again}`;
      const begun = await manager.load();
      begun.set("n", 1);
      await manager.commit(begun);
      const session = await manager.load(begun.token);
      state.armed = true;
      const renew = (): Promise<void> => (what === "login" ? session.login(user) : session[what]());
      await expect(renew()).rejects.toThrow(StoreUnavailableError);
      expect(state).toEqual({ armed: false, broken: true });
      state.broken = false;
      expect((await manager.load(begun.token)).status).toBe("new");
      if (again) await renew();
      expect((await manager.commit(session)).kind).toBe("set");
      const found = await manager.load(session.token);
      const isLoggedIn = again && what === "login";
      const isEmpty = again && what === "reset";
      expect([found.userId, found.get("n")]).toEqual([isLoggedIn ? user : undefined, isEmpty ? undefined : 1]);
      expect(await manager.listByUser(user)).toHaveLength(isLoggedIn ? 1 : 0);
    });
  }
}
