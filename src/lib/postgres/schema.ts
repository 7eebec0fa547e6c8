import { SchemaError } from "../base/errors.ts";
import { quoteIdentifier, quoteLiteral } from "./identifier.ts";
import type { Row } from "./driver.ts";

/** A table's name in the forms that SQL needs. */
export interface TableName {
  /** Quoted, with its schema if it has one. */
  quoted: string;
  /** Undefined: the first schema of the search path that has the table, or could. */
  schema: { name: string; quoted: string } | undefined;
}

/** @throws TypeError that names the option */
export function tableName(table: string, schema: string | undefined): TableName {
  const quoted = quoteIdentifier("table", table);
  if (schema === undefined) return { quoted, schema: undefined };
  const quotedSchema = quoteIdentifier("schema", schema);
  return { quoted: `${quotedSchema}.${quoted}`, schema: { name: schema, quoted: quotedSchema } };
}

type Query = (text: string, values: unknown[]) => Promise<Row[]>;

const COLUMNS = [
  { name: "token", type: "text" },
  { name: "data", type: "bytea" },
  { name: "expiry", type: "timestamp with time zone" },
];

const createTable = (table: string): string =>
  `CREATE TABLE ${table} (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)`;
/** Without a name PostgreSQL calls the index `<table>_expiry_idx`, or as near to that as is free. */
const createIndex = (table: string): string => `CREATE INDEX ON ${table} (expiry)`;

/** The table as the README has it. */
export function setupSql({ quoted }: TableName): string {
  return `${createTable(quoted)}; ${createIndex(quoted)};`;
}

/**
 * Creates what is missing. One statement, which takes a lock first: of any number of processes one creates, the others
 * wait and find it done. (`CREATE TABLE IF NOT EXISTS` alone fails when two run at once.)
 *
 * @throws SchemaError when there is a table of that name that is not ours
 */
export async function migrate(query: Query, { quoted, schema }: TableName): Promise<void> {
  const name = quoteLiteral(quoted);
  const schemaMissing = schema && `NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = ${quoteLiteral(schema.name)})`;
  const body = `
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('pgstore'), hashtext('migrate'));
  ${schema ? `IF ${schemaMissing} THEN CREATE SCHEMA ${schema.quoted}; END IF;` : ""}
  IF to_regclass(${name}) IS NULL THEN ${createTable(quoted)}; END IF;
  IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(${name}) AND attname = 'expiry')
    AND NOT EXISTS (
      SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
      WHERE i.indrelid = to_regclass(${name}) AND a.attname = 'expiry' AND i.indpred IS NULL
    )
  THEN ${createIndex(quoted)}; END IF;
END`;
  await query(`DO ${quoteLiteral(body)}`, []);
  const problems = await check(query, { quoted, schema });
  if (problems.length > 0) throw new SchemaError(quoted, problems.join("; "));
}

/** Lists what is wrong with the table, each in a sentence that names it and says what to do. Changes nothing. */
export async function check(query: Query, table: TableName): Promise<string[]> {
  const { quoted } = table;
  const rows = await query(
    `SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull::text AS required,
       (a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '')::text AS filled,
       (EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid
         AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum))::text AS unique,
       (EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisvalid
         AND i.indpred IS NULL AND i.indkey[0] = a.attnum))::text AS indexed
     FROM pg_attribute a
     WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped`,
    [quoted],
  );
  if (rows.length === 0) return [`table ${quoted} does not exist: run store.migrate(), or ${setupSql(table)}`];
  const columns = new Map(rows.map((row) => [row.name, row]));
  const problems: string[] = [];
  for (const { name, type } of COLUMNS) {
    const column = columns.get(name);
    if (column === undefined) {
      problems.push(`table ${quoted} has no column ${name}: ALTER TABLE ${quoted} ADD COLUMN ${name} ${type} NOT NULL`);
      continue;
    }
    if (column.type !== type) {
      problems.push(
        `column ${name} of table ${quoted} is ${column.type}, not ${type}: ALTER TABLE ${quoted} ALTER COLUMN ${name} TYPE ${type}`,
      );
    }
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
  for (const { name, required, filled } of rows) {
    if (!COLUMNS.some((column) => column.name === name) && required === "true" && filled !== "true") {
      problems.push(
        `column ${name} of table ${quoted} is NOT NULL without a default: give it one, pgstore can't fill it`,
      );
    }
  }
  return problems;
}
