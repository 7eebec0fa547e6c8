import { SchemaError } from "../base/errors.ts";
import { EQ, GT, NE, regclass } from "./catalog.ts";
import type { Row } from "./driver.ts";
import { migrationSql } from "./migration.ts";
import type { TableName } from "./table-name.ts";
import { SESSION_COLUMNS, setupSql, USER_COLUMNS } from "./tables.ts";

/** Runs a statement that may be repeated. `timeout`: milliseconds, if it may take longer than others. */
export type Query = (text: string, values: unknown[], timeout?: number) => Promise<Row[]>;

/** Milliseconds: an index on a large table takes its time. */
const MIGRATION_TIME = 10 * 60_000;

/**
 * Creates what is missing.
 *
 * @throws SchemaError when there is a table of that name that is not ours
 */
export async function migrate(query: Query, table: TableName): Promise<void> {
  for (const statement of migrationSql(table)) await query(statement, [], MIGRATION_TIME);
  const problems = await check(query, table);
  if (problems.length > 0) throw new SchemaError(table.quoted, problems.join("; "));
}

/** Says what a table of another package lacks. Nothing that would change it is advised. */
export async function checkForeign(query: Query, { quoted }: TableName, names: readonly string[]): Promise<string[]> {
  const rows = await query(
    `SELECT a.attname::text AS name FROM pg_catalog.pg_attribute a
     WHERE a.attrelid ${EQ} ${regclass("$1::text")} AND a.attnum ${GT} 0 AND NOT a.attisdropped`,
    [quoted],
  );
  if (rows.length === 0) return [`table ${quoted} does not exist: name the one that the package has made`];
  const missing = names.filter((name) => !rows.some((row) => row["name"] === name));
  return missing.length === 0 ? [] : [`table ${quoted} has no column ${missing.join(", ")}: name another`];
}

/** Lists what is wrong with the table, each in a sentence that names it and says what to do. Changes nothing. */
export async function check(query: Query, table: TableName): Promise<string[]> {
  const { quoted } = table;
  const rows = await query(
    `SELECT a.attname::text AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull::text AS required,
       (a.atthasdef OR a.attidentity ${NE} '' OR a.attgenerated ${NE} '')::text AS filled,
       (EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid ${EQ} a.attrelid AND i.indisunique AND i.indisvalid
         AND i.indpred IS NULL AND i.indnkeyatts ${EQ} 1 AND i.indkey[0] ${EQ} a.attnum))::text AS unique,
       (EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid ${EQ} a.attrelid AND i.indisvalid
         AND i.indpred IS NULL AND i.indkey[0] ${EQ} a.attnum))::text AS indexed,
       (EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid ${EQ} a.attrelid AND i.indisvalid
         AND i.indkey[0] ${EQ} a.attnum))::text AS searchable
     FROM pg_catalog.pg_attribute a
     WHERE a.attrelid ${EQ} ${regclass("$1::text")} AND a.attnum ${GT} 0 AND NOT a.attisdropped`,
    [quoted],
  );
  if (rows.length === 0) return [`table ${quoted} does not exist: run store.migrate(), or ${setupSql(table)}`];
  const columns = new Map(rows.map((row) => [row.name, row]));
  // Adding ours to a table of somebody else's would ruin it.
  const has = (...names: string[]): boolean => names.every((name) => columns.has(name));
  if (has("sid", "sess", "expire") && !has("token", "data", "expiry")) {
    return [
      `table ${quoted} is one of connect-pg-simple: leave it as it is, and say so by --layout connect-pg-simple, or by ` +
        'layout: "connect-pg-simple" of ExpressSessionStore',
    ];
  }
  if (!SESSION_COLUMNS.some(({ name }) => columns.has(name))) {
    return [`table ${quoted} has no column token, data or expiry, so it is not one of pgstore: name another`];
  }
  const problems: string[] = [];
  const differs = (name: string, type: string): void => {
    const actual = columns.get(name)?.type;
    if (actual === undefined || actual === type) return;
    const remedy = `ALTER TABLE ${quoted} ALTER COLUMN ${name} TYPE ${type}`;
    problems.push(`column ${name} of table ${quoted} is ${actual}, not ${type}: ${remedy}`);
  };
  for (const { name, type } of SESSION_COLUMNS) {
    const column = columns.get(name);
    if (column === undefined) {
      problems.push(`table ${quoted} has no column ${name}: ALTER TABLE ${quoted} ADD COLUMN ${name} ${type} NOT NULL`);
      continue;
    }
    differs(name, type);
    if (column.required !== "true") {
      problems.push(
        `column ${name} of table ${quoted} may be null: ALTER TABLE ${quoted} ALTER COLUMN ${name} SET NOT NULL`,
      );
    }
  }
  if (columns.has("token") && columns.get("token")?.unique !== "true") {
    problems.push(`column token of table ${quoted} is not unique: ALTER TABLE ${quoted} ADD PRIMARY KEY (token)`);
  }
  if (columns.has("expiry") && columns.get("expiry")?.indexed !== "true") {
    problems.push(`column expiry of table ${quoted} has no index: CREATE INDEX ON ${quoted} (expiry)`);
  }
  // The seed's table has none of these, and does well without them.
  for (const { name, type } of USER_COLUMNS) {
    differs(name, type);
    if (!columns.has("user_id") || columns.has(name)) continue;
    problems.push(`table ${quoted} has a column user_id and no column ${name}: run store.migrate()`);
  }
  if (columns.has("user_id") && columns.get("tags")?.type === "text[]" && columns.get("tags")?.searchable !== "true") {
    problems.push(`column tags of table ${quoted} has no index: run store.migrate()`);
  }
  if (USER_COLUMNS.every(({ name }) => columns.has(name))) {
    for (const companion of [table.users, table.history]) {
      const [row] = await query(`SELECT (${regclass("$1::text")} IS NOT NULL)::text AS there`, [companion]);
      if (row?.["there"] !== "true") problems.push(`table ${companion} does not exist: run store.migrate()`);
    }
  }
  for (const { name, required, filled } of rows) {
    if (!SESSION_COLUMNS.some((column) => column.name === name) && required === "true" && filled !== "true") {
      problems.push(
        `column ${name} of table ${quoted} is NOT NULL without a default: give it one, pgstore can't fill it`,
      );
    }
  }
  return problems;
}
