import { SchemaError } from "../base/errors.ts";
import { companionOf, quoteIdentifier, quoteLiteral } from "./identifier.ts";
import type { Row } from "./driver.ts";

/** A table's name in the forms that SQL needs. */
export interface TableName {
  /** Quoted, with its schema if it has one. */
  quoted: string;
  /** Of the table with a row for each user who has logged in, quoted likewise. */
  users: string;
  /** Of the table that the cleanup keeps its history in, quoted likewise. */
  history: string;
  /** Undefined: the first schema of the search path that has the table, or could. */
  schema: { name: string; quoted: string } | undefined;
}

/** @throws TypeError that names the option */
export function tableName(table: string, schema: string | undefined): TableName {
  const quotedSchema = schema === undefined ? undefined : quoteIdentifier("schema", schema);
  const [quoted = "", users = "", history = ""] = [
    quoteIdentifier("table", table),
    ...["users", "history"].map((suffix) => quoteIdentifier("table", companionOf(table, suffix))),
  ].map((name) => (quotedSchema === undefined ? name : `${quotedSchema}.${name}`));
  const named = schema === undefined || quotedSchema === undefined ? undefined : { name: schema, quoted: quotedSchema };
  return { quoted, users, history, schema: named };
}

type Query = (text: string, values: unknown[]) => Promise<Row[]>;

const COLUMNS = [
  { name: "token", type: "text" },
  { name: "data", type: "bytea" },
  { name: "expiry", type: "timestamp with time zone" },
];

/** What is known of a session whose user has logged in. A Go program, or an older pgstore, leaves them as they are. */
const USER_COLUMNS = [
  { name: "user_id", type: "text", ddl: 'text COLLATE "C"' },
  { name: "created", type: "timestamp with time zone" },
  { name: "last_seen", type: "timestamp with time zone" },
  { name: "ip", type: "text" },
  { name: "user_agent", type: "text" },
];

const createTable = (table: string): string =>
  `CREATE TABLE ${table} (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)`;
/** Without a name PostgreSQL calls the index `<table>_expiry_idx`, or as near to that as is free. */
const createIndex = (table: string): string => `CREATE INDEX ON ${table} (expiry)`;
const addColumns = (table: string): string =>
  `ALTER TABLE ${table} ${USER_COLUMNS.map(({ name, type, ddl = type }) => `ADD COLUMN IF NOT EXISTS ${name} ${ddl}`).join(", ")}`;
const createUserIndex = (table: string): string =>
  `CREATE INDEX ON ${table} (user_id, created, token) WHERE user_id IS NOT NULL`;

/** The table as the README has it. */
export function setupSql({ quoted }: TableName): string {
  return `${createTable(quoted)}; ${createIndex(quoted)};`;
}

/**
 * SQL that creates what is missing. One statement, which takes a lock first: of any number of processes one creates, the
 * others wait and find it done. (`CREATE TABLE IF NOT EXISTS` alone fails when two run at once.) A table that is not ours is
 * left as it is.
 */
export function migrationSql({ quoted, users, history, schema }: TableName): string {
  const name = quoteLiteral(quoted);
  const schemaMissing = schema && `NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = ${quoteLiteral(schema.name)})`;
  const has = (column: string): string =>
    `EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(${name}) AND attname = '${column}' AND NOT attisdropped)`;
  const userColumns = USER_COLUMNS.map(({ name: column, type }) => `('${column}', '${type}'::regtype)`).join(", ");
  const hasOthers = `EXISTS (SELECT FROM pg_attribute a JOIN (VALUES ${userColumns}) v(name, type) ON a.attname = v.name
      WHERE a.attrelid = to_regclass(${name}) AND NOT a.attisdropped AND a.atttypid <> v.type)`;
  const hasIndex = (column: string, condition: string): string => `EXISTS (
      SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
      WHERE i.indrelid = to_regclass(${name}) AND a.attname = '${column}' AND ${condition}
    )`;
  // Whoever may write sessions must be able to write these: the owner of the table as well, if somebody else migrates it.
  const grant = (companion: string): string =>
    `FOR role IN SELECT DISTINCT CASE w.id WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(w.id)) END
      FROM pg_class c, LATERAL (SELECT c.relowner UNION
        SELECT a.grantee FROM aclexplode(c.relacl) a WHERE a.privilege_type = 'INSERT') w(id)
      WHERE c.oid = to_regclass(${name}) AND w.id <> current_user::regrole
    LOOP EXECUTE ${quoteLiteral(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${companion} TO `)} || role; END LOOP;`;
  const body = `
DECLARE role text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('pgstore'), hashtext('migrate'));
  -- Whoever holds a lock on the table for longer would have all that comes after us wait as well.
  PERFORM set_config('lock_timeout', '5s', true);
  ${schema ? `IF ${schemaMissing} THEN CREATE SCHEMA ${schema.quoted}; END IF;` : ""}
  IF to_regclass(${name}) IS NULL THEN ${createTable(quoted)}; END IF;
  IF ${has("expiry")} AND NOT ${hasIndex("expiry", "i.indpred IS NULL")} THEN ${createIndex(quoted)}; END IF;
  IF ${has("token")} AND ${has("data")} AND ${has("expiry")} AND NOT ${hasOthers} THEN
    IF NOT (${USER_COLUMNS.map((column) => has(column.name)).join(" AND ")}) THEN
      ${addColumns(quoted)};
    END IF;
    IF NOT ${hasIndex("user_id", "true")} THEN
      ${createUserIndex(quoted)};
    END IF;
    IF to_regclass(${quoteLiteral(users)}) IS NULL THEN
      CREATE TABLE ${users} (user_id text COLLATE "C" PRIMARY KEY, last_login timestamptz, revoked timestamptz);
      ${grant(users)}
    END IF;
    IF to_regclass(${quoteLiteral(history)}) IS NULL THEN
      CREATE TABLE ${history} (at timestamptz PRIMARY KEY, created bigint NOT NULL DEFAULT 0,
        ended bigint NOT NULL DEFAULT 0, removed bigint NOT NULL DEFAULT 0, cleaned timestamptz, took integer, live bigint, users bigint);
      ${grant(history)}
    END IF;
  END IF;
END`;
  return `DO ${quoteLiteral(body)}`;
}

/**
 * What of it takes long on a table of many millions of rows, by hand and before it: an index is made while the table is
 * written to, which PostgreSQL does not do inside of `migrationSql`. Each step is a statement of its own.
 */
export function stepsByHand({ quoted }: TableName): string[] {
  const concurrently = (index: string): string => index.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY");
  return [
    "SET lock_timeout = '5s'",
    addColumns(quoted),
    concurrently(createIndex(quoted)),
    concurrently(createUserIndex(quoted)),
  ];
}

/**
 * Creates what is missing.
 *
 * @throws SchemaError when there is a table of that name that is not ours
 */
export async function migrate(query: Query, table: TableName): Promise<void> {
  await query(migrationSql(table), []);
  const problems = await check(query, table);
  if (problems.length > 0) throw new SchemaError(table.quoted, problems.join("; "));
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
  const differs = (name: string, type: string): void => {
    const actual = columns.get(name)?.type;
    if (actual === undefined || actual === type) return;
    const remedy = `ALTER TABLE ${quoted} ALTER COLUMN ${name} TYPE ${type}`;
    problems.push(`column ${name} of table ${quoted} is ${actual}, not ${type}: ${remedy}`);
  };
  for (const { name, type } of COLUMNS) {
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
  for (const { name, required, filled } of rows) {
    if (!COLUMNS.some((column) => column.name === name) && required === "true" && filled !== "true") {
      problems.push(
        `column ${name} of table ${quoted} is NOT NULL without a default: give it one, pgstore can't fill it`,
      );
    }
  }
  return problems;
}
