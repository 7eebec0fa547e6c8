import { afterAll, beforeAll, describe, it } from "vitest";
import { PgStore, type Session, SessionManager, type SessionOptions } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { gatedClient } from "../support/gated-client.ts";

type Data = Record<string, unknown>;

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

describe("the time that a commit has waited for another one of its session", () => {
  const commits: Record<
    string,
    { options?: SessionOptions; user?: string; act?: (session: Session<Data>) => unknown }
  > = {
    "a change": { act: (session) => session.set("b", 1) },
    "a touch": { options: { idleTimeout: "20m", touchAfter: 0 } },
    "a renewal": { act: (session) => session.renewToken() },
    "a renewal of a user's session": { user: "ada", act: (session) => session.renewToken() },
    "a login": { act: (session) => session.login("ada") },
  };
  for (const [name, { options, user, act = () => {} }] of Object.entries(commits)) {
    it.concurrent(`counts against its queryTimeout: ${name}`, async ({ expect: expected }) => {
      const client = gatedClient(database.pool({ max: 2 }));
      const store = new PgStore(client, { cleanupInterval: 0, queryTimeout: 600 });
      const manager = new SessionManager<Data>(store, options);
      const begun = await manager.load();
      begun.set("n", 0);
      if (user !== undefined) await begun.login(user);
      await manager.commit(begun);
      const [first, second] = [await manager.load(begun.token), await manager.load(begun.token)];
      first.set("a", 1);
      client.hold();
      const stored = manager.commit(first);
      const late = (async () => {
        await act(second);
        await manager.commit(second);
      })();
      // The wait has begun by now, and goes on for so long that its own statement's time would end clearly later.
      await new Promise((resolve) => setTimeout(resolve, 300));
      client.release();
      // Its own statement would have that much more.
      client.hold();
      await expected(late).rejects.toThrow("earlier requests of this session left too little of 600 ms");
      client.release();
      await stored;
      await expected.poll(() => client.underWay).toBe(0);
    });
  }
});
