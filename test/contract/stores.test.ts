import type { PGliteOptions } from "@electric-sql/pglite";
import { neon, neonConfig } from "@neondatabase/serverless";
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, beforeEach, describe, it } from "vitest";
import { MemoryStore, type PgClient, PgStore } from "../../src/index.ts";
import { clients, openPostgresJs } from "../support/clients.ts";
import { SCS_TABLE } from "../support/global-setup.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { neonUrl, startNeonHttpBridge } from "../support/neon-http-bridge.ts";
import { openPglite } from "../support/pglite.ts";
import { onPostgres } from "./on-postgres.ts";
import { storeContract, type StoreHost } from "./store-contract.ts";

let database: TestDatabase;
let scs: TestDatabase;
beforeAll(async () => {
  [database, scs] = await Promise.all([createDatabase(), createDatabase({ template: false })]);
});
afterAll(() => Promise.all([database.drop(), scs.drop()]));

const onPool =
  (config: pg.PoolConfig = {}) =>
  async () => ({
    db: database.pool({ max: 5, ...config }),
    close: async () => {},
  });
for (const [name, open] of Object.entries(clients)) onPostgres(name, () => open(database.url));

for (const rows of [1, 2]) onPostgres(`pg.Pool in batches of ${rows}`, onPool(), { batch: { rows } });
onPostgres("pg.Pool, a statement of each kind at a time, none prepared", onPool(), {
  batch: { statements: 1 },
  prepare: false,
});

onPostgres("a table of SCS (three columns)", async () => {
  const pool = scs.pool({ max: 5 });
  await pool.query(SCS_TABLE);
  return { db: pool, close: async () => {} };
});

onPostgres("pg.Client", async () => {
  const client = new pg.Client(database.url);
  await client.connect();
  return { db: client, close: () => client.end() };
});

onPostgres("an object with query(text, values)", async () => {
  const pool = database.pool({ max: 5 });
  return { db: { query: (text, values) => pool.query(text, values) }, close: async () => {} };
});

/** What applications set for themselves: instants and dates as strings, bytea as hex, int8 as bigint, text in their way. */
const parsers: Record<number, (text: string) => unknown> = {
  16: (text) => (text === "t" ? "yes" : "no"),
  17: (text) => text.slice(2),
  20: BigInt,
  25: (text) => text.toUpperCase(),
  1082: String,
  1184: String,
};
const types = (changed: typeof parsers): pg.CustomTypesConfig => ({
  getTypeParser: (oid: number) => changed[oid] ?? String,
});

onPostgres("pg.Pool whose type parsers are the application's own", onPool({ types: types(parsers) }));
onPostgres("pg.Pool with binary results", onPool({ binary: true } as pg.PoolConfig));
onPostgres("an object with query(text, values) that parses every type but text", async () => {
  const pool = database.pool({ max: 5, types: types({ ...parsers, 25: String }) });
  return { db: { query: (text, values) => pool.query(text, values) }, close: async () => {} };
});

onPostgres("Neon's neon(), over HTTP", async () => {
  const port = await startNeonHttpBridge(database.pool({ max: 5 }));
  neonConfig.fetchEndpoint = () => `http://127.0.0.1:${port}/sql`;
  const pool = database.pool({ max: 1 });
  return {
    db: neon(neonUrl(database.url), { fullResults: true }),
    query: (text, values) => pool.query(text, values),
    close: async () => {},
  };
});

const sqlOptions: Record<string, postgres.Options<Record<string, postgres.PostgresType>>> = {
  "postgres.js, none prepared": { prepare: false },
  "postgres.js with one connection": { max: 1 },
  "postgres.js whose types and transforms are the application's own": {
    transform: { ...postgres.toPascal, value: { from: () => "changed" }, undefined: null },
    types: {
      text: { to: 25, from: [25, 1009], serialize: (text: string) => text.toUpperCase(), parse: () => "parsed" },
      instant: { to: 1184, from: [1082, 1184], serialize: String, parse: String },
      bytes: { to: 17, from: [17], serialize: String, parse: (text: string) => text.slice(2) },
      bigint: postgres.BigInt,
    },
  },
};
for (const [name, options] of Object.entries(sqlOptions)) {
  onPostgres(name, async () => {
    const pool = database.pool({ max: 1 });
    const query: PgClient["query"] = (text, values) => pool.query(text, values);
    return { ...openPostgresJs(database.url, options), query };
  });
}

const pgliteOptions: Record<string, PGliteOptions> = {
  PGlite: {},
  "PGlite whose parsers and serializers are the application's own": {
    parsers,
    serializers: { 25: (text: string) => text.toUpperCase() },
  },
};
for (const [name, options] of Object.entries(pgliteOptions)) {
  onPostgres(name, async () => {
    const db = await openPglite(options);
    await new PgStore(db, { cleanupInterval: 0 }).migrate();
    const query: PgClient["query"] = (text, values) => db.query(text, values, { serializers: { 25: String } });
    return { db, query, close: () => db.close() };
  });
}

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
