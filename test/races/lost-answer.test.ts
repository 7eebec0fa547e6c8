import { afterAll, beforeAll, expect, it } from "vitest";
import { type PgClient, PgStore, SessionManager } from "../../src/index.ts";
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
