import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type pg from "pg";
import { PgStore } from "../../src/index.ts";
import { endingStatements } from "../../src/lib/postgres/sql/endings.ts";
import { scsLayout } from "../../src/lib/postgres/sql/layout.ts";
import { operationsFor } from "../../src/lib/postgres/sql/operations.ts";
import { tableName } from "../../src/lib/postgres/sql/table-name.ts";
import { userStatements } from "../../src/lib/postgres/sql/user-statements.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { statementsIn } from "../support/statements.ts";

const table = tableName("sessions", undefined);
const { save: _save, create: _create, ...operations } = operationsFor(table, scsLayout, 120_000);
const statements = statementsIn({
  ...operations,
  users: userStatements(table),
  endings: endingStatements(table, scsLayout),
});

let database: TestDatabase;
let client: pg.PoolClient;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  const pool = database.pool({ max: 1 });
  await new PgStore(pool, { cleanupInterval: 0 }).migrate();
  client = await pool.connect();
  await client.query(
    `INSERT INTO sessions (token, data, expiry, user_id, created)
     SELECT md5(n::text) || n, convert_to(repeat('x', 200), 'UTF8'), now() + interval '1 hour', 'user ' || n % 5000, now()
     FROM generate_series(1, 20000) n`,
  );
  await client.query("ANALYZE sessions");
});
afterAll(async () => {
  client.release();
  await database.drop();
});

describe("the plan that is kept of a statement", () => {
  it.each(statements)("reads no more of the table than it needs: %s", async (name, text) => {
    const most = Math.max(0, ...Array.from(text.matchAll(/\$(\d+)/g), ([, n]) => Number(n)));
    await client.query(`SET plan_cache_mode = force_generic_plan; PREPARE kept AS ${text}`);
    const { rows } = await client.query<Record<string, string>>(
      `EXPLAIN EXECUTE kept${most === 0 ? "" : `(${Array.from({ length: most }, () => "NULL").join(", ")})`}`,
    );
    await client.query("DEALLOCATE kept");
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    expect(plan, name).not.toMatch(/Seq Scan on sessions /);
  });
});
