import assert from "node:assert/strict";
import type { PGlite } from "@electric-sql/pglite";
import postgres from "postgres";
import { afterAll, beforeAll, describe, it } from "vitest";
import { ExpressSessionStore, type ExpressSessionStoreOptions } from "../../src/express-session.ts";
import { MemoryStore, PgStore, type Store } from "../../src/index.ts";
import { connectPgSimpleTable } from "../support/connect-pg-simple.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { openPglite } from "../support/pglite.ts";
import { endedSessions, expressSessionContract, type ExpressSessionHost } from "./express-session-contract.ts";

const userOf = (session: { passport?: { user?: unknown } }): unknown => session.passport?.user;

type Query = (sql: string) => Promise<{ rows: unknown[] }>;

let database: TestDatabase;
let query: Query;
beforeAll(async () => {
  database = await createDatabase();
  const pool = database.admin();
  query = (sql) => pool.query(sql);
});
afterAll(() => database.drop());

function holds(name: string, contract: typeof expressSessionContract, host: () => Promise<ExpressSessionHost>): void {
  describe(`the contract of stores for express-session on ${name}`, () => {
    for (const [title, check] of Object.entries(contract)) {
      it(title, async () => {
        const made = await host();
        try {
          await check(made);
        } finally {
          await made.store.close();
        }
      });
    }
  });
}

/** On a table of its own for each test, by the statements of `make`. */
function onTable(
  name: string,
  make: (table: string) => string[],
  open: (table: string) => ExpressSessionStoreOptions,
  expiry: string,
  run: () => Query = () => query,
): void {
  let count = 0;
  holds(name, { ...expressSessionContract, ...endedSessions }, async () => {
    const table = `${name}"'\\ ${count++}`.slice(-60);
    const quoted = `"${table.replaceAll('"', '""')}"`;
    for (const sql of make(quoted)) await run()(sql);
    return {
      store: new ExpressSessionStore({ cleanupInterval: 0, userOf, ...open(table) }),
      expireAll: async () =>
        void (await run()(`UPDATE ${quoted} SET ${expiry} = current_timestamp - interval '1 minute'`)),
      pass: async (milliseconds) =>
        void (await run()(`UPDATE ${quoted} SET ${expiry} = ${expiry} - interval '${milliseconds / 1000} seconds'`)),
      rows: async () => (await run()(`SELECT FROM ${quoted}`)).rows.length,
      forget: async () => void (await run()(`DELETE FROM ${quoted} WHERE ${expiry} <= current_timestamp`)),
    };
  });
}

const scsTable = (table: string): string[] => [
  `CREATE TABLE ${table} (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)`,
];

onTable("pgstore's table", scsTable, (table) => ({ pool: database.pool(), table }), "expiry");
onTable(
  "connect-pg-simple's table",
  connectPgSimpleTable,
  (table) => ({ pool: database.pool({ max: 3 }), table, layout: "connect-pg-simple" }),
  "expire",
);
onTable(
  "connect-pg-simple's table with jsonb",
  (table) => [...connectPgSimpleTable(table), `ALTER TABLE ${table} ALTER COLUMN sess TYPE jsonb`],
  (table) => ({ pool: database.pool({ max: 3 }), table, layout: "connect-pg-simple" }),
  "expire",
);
describe("with postgres.js", () => {
  let sql: postgres.Sql;
  beforeAll(() => {
    sql = postgres(database.url, { max: 3, onnotice: () => {} });
  });
  afterAll(() => sql.end());
  onTable(
    "connect-pg-simple's table with postgres.js",
    connectPgSimpleTable,
    (table) => ({ pool: sql, table, layout: "connect-pg-simple" }),
    "expire",
  );
});
describe("with PGlite", () => {
  let pglite: PGlite;
  beforeAll(async () => {
    pglite = await openPglite();
  });
  afterAll(() => pglite.close());
  onTable(
    "connect-pg-simple's table in PGlite",
    connectPgSimpleTable,
    (table) => ({ pool: pglite, table, layout: "connect-pg-simple" }),
    "expire",
    () => (text) => pglite.query(text),
  );
});

holds("a PgStore", { ...expressSessionContract, ...endedSessions }, async () => {
  await query("DELETE FROM sessions");
  const pool = database.pool();
  return {
    store: new ExpressSessionStore({ store: new PgStore(pool, { cleanupInterval: 0 }), userOf }),
    expireAll: async () => void (await query("UPDATE sessions SET expiry = current_timestamp - interval '1 minute'")),
    forget: async () => void (await query("DELETE FROM sessions WHERE expiry <= current_timestamp")),
  };
});

function inMemory(open: (memory: MemoryStore) => Store): () => Promise<ExpressSessionHost> {
  return async () => {
    let ahead = 0;
    const memory = new MemoryStore({ cleanupInterval: 0, now: () => Date.now() + ahead });
    return {
      store: new ExpressSessionStore({ store: open(memory), userOf }),
      expireAll: async () => void (ahead += 86_500_000),
      pass: async (milliseconds) => void (ahead += milliseconds),
      forget: async () => {
        ahead += 180_000;
        await memory.deleteExpired();
      },
    };
  };
}

holds(
  "a MemoryStore",
  { ...expressSessionContract, ...endedSessions },
  inMemory((memory) => memory),
);
holds(
  "a store that only has find, save, delete and all",
  expressSessionContract,
  inMemory((memory) => ({
    find: (token) => memory.find(token),
    save: (token, data, expiry) => memory.save(token, data, expiry),
    delete: (token) => memory.delete(token),
    all: () => memory.all(),
  })),
);

describe("an ExpressSessionStore beside very many sessions", () => {
  it("remembers one as live that 25,000 others came after, so nothing brings it back", async () => {
    const { store, forget } = await inMemory((memory) => memory)();
    const session = { cookie: { maxAge: 3_600_000 } };
    await store.set("sid", session);
    for (let count = 0; count < 25_000; count += 1000) {
      await Promise.all(Array.from({ length: 1000 }, (_, n) => store.set(`${count + n}`, session)));
    }
    await store.destroy("sid");
    await forget?.();
    await store.set("sid", { cookie: { maxAge: 3_600_000 } });
    assert.equal(await store.get("sid"), undefined);
  });
});
