import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PgStore } from "../../src/index.ts";
import { clients, openPostgresJs } from "../support/clients.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { type PgBouncer, pgbouncerVersion, startPgBouncer } from "../support/pgbouncer.ts";
import { onPostgres } from "./on-postgres.ts";
import type { OpenClient } from "./postgres-host.ts";

const soon = (): Date => new Date(Date.now() + 60_000);
const data = new Uint8Array([1, 2, 3]);

describe.skipIf(pgbouncerVersion() === undefined)("through PgBouncer in transaction mode", () => {
  let database: TestDatabase;
  let bouncer: PgBouncer;
  let url: string;
  beforeAll(async () => {
    database = await createDatabase();
    bouncer = await startPgBouncer(database.url);
    url = bouncer.through(database.url);
  });
  afterAll(async () => {
    await bouncer.stop();
    await database.drop();
  });

  const ways: Record<string, () => Promise<OpenClient>> = {
    "node-postgres": () => clients["node-postgres"](url),
    "postgres.js": () => clients["postgres.js"](url),
    "postgres.js, none prepared": async () => openPostgresJs(url, { prepare: false }),
  };

  for (const [name, open] of Object.entries(ways)) onPostgres(name, open);

  for (const driver of ["node-postgres", "postgres.js"] as const) {
    it(`${driver} gives up prepared statements for good when one is unknown to the server`, async () => {
      const client = await clients[driver](url, { max: 1 });
      // A table of its own: what the tests above have prepared on either connection has other names.
      const options = { table: `bounced by ${driver}`, cleanupInterval: 0 };
      await new PgStore(database.admin(), options).migrate();
      const store = new PgStore(client.db, options);
      const [first, second] = await Promise.all([occupy(), occupy()]);
      // On the second's connection it is prepared, then the first's has to do.
      await second.free();
      expect(await store.find("none")).toBe(undefined);
      const third = await occupy();
      await first.free();
      expect(await store.create("bounced", data, soon())).toBe(true);
      expect(await store.find("bounced")).toBeDefined();
      await third.free();
      const before = await preparedStatements();
      for (let n = 0; n < 20; n++) {
        const holder = await occupy();
        expect(await store.find("bounced")).toBeDefined();
        expect(await store.touch("bounced", soon())).toBe(true);
        await holder.free();
      }
      expect(await store.delete("bounced")).toBe(true);
      expect(await preparedStatements()).toEqual(before);
      await client.close();
    });
  }

  /** Takes one of PgBouncer's two connections to the server. */
  async function occupy(): Promise<{ client: pg.Client; free(): Promise<void> }> {
    const client = new pg.Client(url);
    await client.connect();
    await client.query("BEGIN");
    const free = async (): Promise<void> => {
      await client.query("ROLLBACK");
      await client.end();
    };
    return { client, free };
  }

  /** How many statements each of PgBouncer's connections has prepared. */
  async function preparedStatements(): Promise<number[]> {
    const both = await Promise.all([occupy(), occupy()]);
    const counts: number[] = [];
    for (const { client, free } of both) {
      const { rows } = await client.query<{ count: number }>("SELECT count(*)::int FROM pg_prepared_statements");
      counts.push(rows[0]?.count ?? -1);
      await free();
    }
    return counts.toSorted((a, b) => a - b);
  }
});
