import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PgStore } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { pgstore, pgstoreJson } from "./run.ts";

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  pool = database.pool();
});
afterAll(() => database.drop());

/**
 * Everything that the catalogs say about the relations of a schema: columns, defaults, constraints, indexes, settings. Not the
 * value that PostgreSQL remembers for the rows which a column was added to.
 */
async function catalogOf(schema: string): Promise<unknown[]> {
  const { rows } = await pool.query<{ relation: unknown }>(
    `SELECT jsonb_build_object(
       'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence, 'options', c.reloptions, 'acl', c.relacl,
       'replica', c.relreplident, 'security', c.relrowsecurity,
       'columns', (SELECT jsonb_agg(to_jsonb(a) - '{attrelid,atthasmissing,attmissingval}'::text[] || jsonb_build_object(
           'type', format_type(a.atttypid, a.atttypmod), 'collation', l.collname, 'default', pg_get_expr(d.adbin, d.adrelid)) ORDER BY a.attnum)
         FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         LEFT JOIN pg_collation l ON l.oid = a.attcollation WHERE a.attrelid = c.oid AND a.attnum > 0),
       'constraints', (SELECT jsonb_agg(n.conname || ' ' || pg_get_constraintdef(n.oid) ORDER BY n.conname)
         FROM pg_constraint n WHERE n.conrelid = c.oid),
       'index', replace(pg_get_indexdef(c.oid), quote_ident($1), 'schema')) AS relation
     FROM pg_class c WHERE c.relnamespace = quote_ident($1)::regnamespace AND c.relkind <> 't' ORDER BY c.relname`,
    [schema],
  );
  return rows.map(({ relation }) => relation);
}

describe("pgstore schema", () => {
  it.each(["sessions", `it's a "table"`])("--sql makes exactly what migrate makes, for table %s", async (table) => {
    const [printed, migrated] = [`printed ${table}`, `migrated ${table}`];
    const { code, out } = await pgstore("schema", "--sql", "--table", table, "--schema", printed);
    expect(code).toBe(0);
    for (let times = 0; times < 2; times++) await pool.query(out);
    const store = new PgStore(pool, { table, schema: migrated, cleanupInterval: 0 });
    await store.migrate();
    const made = await catalogOf(migrated);
    expect(made).toHaveLength(9);
    expect(await catalogOf(printed)).toEqual(made);
    await store.close();
  });

  it("prints SQL unless told otherwise, and the same in JSON", async () => {
    const plain = await pgstore("schema");
    expect(plain).toEqual({
      code: 0,
      out: expect.stringMatching(/^CREATE TABLE IF NOT EXISTS "sessions"/) as string,
      err: "",
    });
    const { json } = await pgstoreJson("schema");
    expect(json).toEqual({ format: "sql", schema: plain.out.trimEnd() });
  });

  it.each([
    ["--drizzle", "drizzle", /: \w+\("([a-z_]+)"/g],
    ["--prisma", "prisma", /^ {2}(?:\w+ .*@map\("([a-z_]+)"\)|(\w+) )/gm],
  ])("%s names every table, column and index that migrate makes", async (flag, format, columnName) => {
    const schema = `by ${format}`;
    await new PgStore(pool, { schema, table: "logins", cleanupInterval: 0 }).migrate();
    const { json } = await pgstoreJson("schema", flag, "--table", "logins", "--schema", schema);
    const text = String(json["schema"]);
    const { rows } = await pool.query<{ table: string; columns: string[]; indexes: string[] | null }>(
      `SELECT c.relname AS table, (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns,
         (SELECT array_agg(x.relname::text ORDER BY x.oid) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND NOT i.indisprimary) AS indexes
       FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' ORDER BY c.oid`,
      [`"${schema}"`],
    );
    // Each table is a block of its own, in the order in which migrate makes them.
    const blocks = text.split(/^(?:export const pgstore(?!Schema)|model )/m).slice(1);
    expect(blocks).toHaveLength(rows.length);
    for (const [n, { table, columns, indexes }] of rows.entries()) {
      const block = blocks[n] ?? "";
      expect(block).toContain(`"${table}"`);
      expect([...block.matchAll(columnName)].map(([, mapped, name]) => mapped ?? name)).toEqual(columns);
      expect([...block.matchAll(/"(\w+_idx)"/g)].map(([, name]) => name)).toEqual(indexes ?? []);
    }
    expect(text).toContain(`"${schema}"`);
  });

  it("--drizzle and --prisma know that PostgreSQL's default schema has no name for Drizzle", async () => {
    expect((await pgstore("schema", "--drizzle", "--schema", "public")).out).not.toContain("pgSchema");
    expect((await pgstore("schema", "--prisma", "--schema", "public")).out).toContain('@@schema("public")');
  });

  it("refuses two formats at once, and the table of connect-pg-simple", async () => {
    expect(await pgstore("schema", "--sql", "--prisma")).toEqual({
      code: 2,
      out: "",
      err: "pgstore: --sql, --drizzle, --prisma: pass only one of them\n",
    });
    expect((await pgstore("schema", "--layout", "connect-pg-simple")).code).toBe(2);
  });
});
