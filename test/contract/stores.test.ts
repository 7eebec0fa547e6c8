import { PGlite } from "@electric-sql/pglite";
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, beforeEach, describe, it } from "vitest";
import { MemoryStore, PgStore, type PgStoreOptions } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { emptyHost, type OpenClient, queryOf } from "./postgres-host.ts";
import { storeContract, type StoreHost } from "./store-contract.ts";

/** Runs the contract on a client of a database that has the table. */
function onPostgres(name: string, open: () => Promise<OpenClient>, options?: PgStoreOptions): void {
  describe(`the store contract on ${name}`, () => {
    let opened: OpenClient;
    let host: StoreHost;
    beforeAll(async () => {
      opened = await open();
    });
    beforeEach(async () => {
      host = await emptyHost(opened, options);
    });
    afterAll(() => opened.close());
    for (const [title, run] of Object.entries(storeContract)) it(title, () => run(host));
  });
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

onPostgres("pg.Pool", async () => ({ db: database.pool({ max: 5 }), close: async () => {} }));

for (const rows of [1, 2]) {
  const open = async () => ({ db: database.pool({ max: 5 }), close: async () => {} });
  onPostgres(`pg.Pool in batches of ${rows}`, open, { batch: { rows } });
}

onPostgres(
  "pg.Pool, a statement of each kind at a time, none prepared",
  async () => ({ db: database.pool({ max: 5 }), close: async () => {} }),
  { batch: { statements: 1 }, prepare: false },
);

onPostgres("pg.Client", async () => {
  const client = new pg.Client(database.url);
  await client.connect();
  return { db: client, close: () => client.end() };
});

onPostgres("a client whose type parsers are the application's own", async () => {
  const parsed = { getTypeParser: () => (value: unknown) => ({ parsed: value }) };
  const text = { getTypeParser: (oid: number) => (oid === 25 ? String : parsed.getTypeParser()) };
  return { db: database.pool({ max: 5, types: text }), close: async () => {} };
});

onPostgres("an object with query(text, values)", async () => {
  const pool = database.pool({ max: 5 });
  return { db: { query: (text, values) => pool.query(text, values) }, close: async () => {} };
});

const sqlOptions: Record<string, postgres.Options<Record<string, postgres.PostgresType>>> = {
  "postgres.js": {},
  "postgres.js, none prepared": { prepare: false },
  "postgres.js with one connection": { max: 1 },
  "postgres.js whose types and transforms are the application's own": {
    transform: { ...postgres.toPascal, value: { from: () => "changed" }, undefined: null },
    types: { text: { to: 25, from: [25, 1009], serialize: String, parse: () => "parsed" } },
  },
};
for (const [name, options] of Object.entries(sqlOptions)) {
  onPostgres(name, async () => {
    const sql = postgres(database.url, { max: 5, onnotice: () => {}, ...options });
    return { db: sql, query: queryOf(sql), close: () => sql.end({ timeout: 1 }) };
  });
}

onPostgres("PGlite", async () => {
  const db = await PGlite.create();
  await new PgStore(db, { cleanupInterval: 0 }).migrate();
  return { db, close: () => db.close() };
});

describe("the store contract on memory", () => {
  let host: StoreHost;
  beforeEach(() => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    host = {
      store,
      expire: async (token) => {
        const found = await store.find(token);
        await store.save(token, found?.data ?? new Uint8Array(), new Date(Date.now() - 60_000));
      },
    };
  });
  for (const [title, run] of Object.entries(storeContract)) it(title, () => run(host));
});
