import { quoteLiteral } from "./identifier.ts";
import type { TableName } from "./table-name.ts";

/** What is known of a session whose user has logged in. A Go program, or an older pgstore, leaves them as they are. */
export const USER_COLUMNS = [
  { name: "user_id", type: "text", ddl: 'text COLLATE "C"' },
  { name: "created", type: "timestamp with time zone" },
  { name: "last_seen", type: "timestamp with time zone" },
  { name: "ip", type: "text" },
  { name: "user_agent", type: "text" },
  { name: "tags", type: "text[]" },
];

export const createTable = (table: string): string =>
  `CREATE TABLE ${table} (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)`;
/** Without a name PostgreSQL calls the index `<table>_expiry_idx`, or as near to that as is free. */
export const createIndex = (table: string): string => `CREATE INDEX ON ${table} (expiry)`;
const addColumns = (table: string): string =>
  `ALTER TABLE ${table} ${USER_COLUMNS.map(({ name, type, ddl = type }) => `ADD COLUMN IF NOT EXISTS ${name} ${ddl}`).join(", ")}`;
const createUserIndex = (table: string): string =>
  `CREATE INDEX ON ${table} (user_id, created, token) WHERE user_id IS NOT NULL`;
const createTagIndex = (table: string): string => `CREATE INDEX ON ${table} USING gin (tags) WHERE tags IS NOT NULL`;

/**
 * SQL that creates what is missing, in statements that may run one after the other at any time. Each takes a lock first: of any
 * number of processes one creates, the others wait and find it done. (`CREATE TABLE IF NOT EXISTS` alone fails when two run at
 * once.) A table that is not ours is left as it is, and so is one of whose owner the role is none: it does without users.
 *
 * Indexes come last and apart: while one is made the table is locked against writing, but not against reading, as it is
 * while columns are added.
 */
export function migrationSql({ quoted, users, history, schema }: TableName): string[] {
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
  // Where the table is, not where the search path leads: another role's may lead elsewhere.
  const inHome = (companion: string): string =>
    schema === undefined ? `home || ${quoteLiteral(`.${companion}`)}` : quoteLiteral(companion);
  // Whoever may write sessions must be able to write these: the owner of the table as well, if somebody else migrates it.
  const create = (companion: string, columns: string): string => `
    IF to_regclass(${inHome(companion)}) IS NULL THEN
      EXECUTE 'CREATE TABLE ' || ${inHome(companion)} || ${quoteLiteral(` (${columns})`)};
      FOR role IN SELECT DISTINCT CASE w.id WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(w.id)) END
        FROM pg_class c, LATERAL (SELECT c.relowner UNION
          SELECT a.grantee FROM aclexplode(c.relacl) a WHERE a.privilege_type = 'INSERT') w(id)
        WHERE c.oid = to_regclass(${name}) AND w.id <> current_user::regrole
      LOOP EXECUTE 'GRANT SELECT, INSERT, UPDATE, DELETE ON ' || ${inHome(companion)} || ' TO ' || role; END LOOP;
    END IF;`;
  // Whoever holds a lock on the table for longer would have all that comes after us wait as well.
  const begin = `  PERFORM pg_advisory_xact_lock(hashtext('pgstore'), hashtext('migrate'));
  PERFORM set_config('lock_timeout', '5s', true);`;
  const tables = `
DECLARE
  role text;
  home text;
  may boolean;
BEGIN
${begin}
  ${schema ? `IF ${schemaMissing} THEN CREATE SCHEMA ${schema.quoted}; END IF;` : ""}
  IF to_regclass(${name}) IS NULL THEN ${createTable(quoted)}; END IF;
  SELECT quote_ident(n.nspname), pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE') INTO home, may
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(${name});
  IF may AND ${has("token")} AND ${has("data")} AND ${has("expiry")} AND NOT ${hasOthers} THEN
    IF NOT (${USER_COLUMNS.map((column) => has(column.name)).join(" AND ")}) THEN
      ${addColumns(quoted)};
    END IF;${create(users, 'user_id text COLLATE "C" PRIMARY KEY, last_login timestamptz, revoked timestamptz')}${create(
      history,
      "at timestamptz PRIMARY KEY, created bigint NOT NULL DEFAULT 0, ended bigint NOT NULL DEFAULT 0, " +
        "removed bigint NOT NULL DEFAULT 0, cleaned timestamptz, took integer, live bigint, users bigint",
    )}
  END IF;
END`;
  const indexes = `
BEGIN
${begin}
  IF ${has("expiry")} AND NOT ${hasIndex("expiry", "i.indpred IS NULL")} THEN ${createIndex(quoted)}; END IF;
  IF ${USER_COLUMNS.map((column) => has(column.name)).join(" AND ")} AND NOT ${hasOthers}
    AND (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(${name}))
  THEN
    IF NOT ${hasIndex("user_id", "true")} THEN ${createUserIndex(quoted)}; END IF;
    IF NOT ${hasIndex("tags", "true")} THEN ${createTagIndex(quoted)}; END IF;
  END IF;
END`;
  return [tables, indexes].map((body) => `DO ${quoteLiteral(body)}`);
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
    concurrently(createTagIndex(quoted)),
  ];
}
