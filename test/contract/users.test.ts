import { afterAll, beforeAll, beforeEach, describe, it } from "vitest";
import { MemoryStore, type PgClient, PgStore } from "../../src/index.ts";
import type { OpenClient } from "./postgres-host.ts";
import { clients } from "../support/clients.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { openPglite } from "../support/pglite.ts";
import { userContract, type UserHost } from "./user-contract.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  await new PgStore(database.pool({ max: 1 }), { cleanupInterval: 0 }).migrate();
});
afterAll(() => database.drop());

const openers: Record<string, (url: string) => Promise<OpenClient>> = {
  ...clients,
  PGlite: async () => {
    const db = await openPglite();
    return { db, close: () => db.close() };
  },
};
for (const [name, open] of Object.entries(openers)) {
  describe(`sessions by user on ${name}`, () => {
    let opened: OpenClient;
    let query: PgClient["query"];
    let host: UserHost;
    beforeAll(async () => {
      opened = await open(database.url);
      const { db } = opened;
      query = opened.query ?? ((text, values) => (db as PgClient).query(text, values));
      if (name === "PGlite") await new PgStore(db, { cleanupInterval: 0 }).migrate();
    });
    beforeEach(async () => {
      await query("DELETE FROM sessions");
      host = {
        store: new PgStore(opened.db, { queryTimeout: "30s", cleanupInterval: 0 }),
        expire: async (token) => {
          await query("UPDATE sessions SET expiry = current_timestamp - interval '1 minute' WHERE token = $1", [token]);
        },
      };
    });
    afterAll(() => opened.close());
    for (const [title, run] of Object.entries(userContract)) it(title, () => run(host));
  });
}

describe("sessions by user in memory", () => {
  for (const [title, run] of Object.entries(userContract)) {
    it(title, async () => {
      const store = new MemoryStore({ cleanupInterval: 0 });
      await run({ store, expire: async (token) => void (await store.setExpiry(token, new Date(Date.now() - 60_000))) });
    });
  }
});
