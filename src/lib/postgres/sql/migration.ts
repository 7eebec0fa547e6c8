import { EQ, NE, regclass } from "./catalog.ts";
import { quoteLiteral, type TableName } from "./table-name.ts";
import {
  COMPANIONS,
  type Column,
  createIndex,
  ddlOf,
  type Index,
  INDEXES,
  SESSION_COLUMNS,
  USER_COLUMNS,
} from "./tables.ts";

/** SQL of the schema that has the table or would have it: the given one, else the first match of the search path. */
function homeOf({ quoted, schema }: TableName): string {
  if (schema !== undefined) return quoteLiteral(schema);
  return (
    `COALESCE((SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid ${EQ} c.relnamespace ` +
    `WHERE c.oid ${EQ} ${regclass(quoteLiteral(quoted))}), current_schema)::text`
  );
}

/**
 * Makes a block of PL/pgSQL that runs in a READ COMMITTED transaction with a lock timeout.
 *
 * PL/pgSQL resolves names when a line runs. So lines before the search path is set name the schema, and later lines see
 * only pg_catalog. Tables are named with their schema, in variables such as `sessions`. The settings are restored, for
 * an application that continues its own transaction.
 *
 * A transaction that keeps its first snapshot would not see what another process created while it waited, so the block
 * begins another one. Inside the application's own transaction the COMMIT fails (2D000), and nothing has happened. The
 * timeout is needed because statements queue up behind a migration that waits for a lock.
 */
const block = (table: TableName, body: string): string =>
  `DO ${quoteLiteral(`
DECLARE
  path text := pg_catalog.current_setting('search_path');
  patience text := pg_catalog.current_setting('lock_timeout');
  home text := ${homeOf(table)};
  sessions text;
  role text;
  broken text;
  missing record;
  may boolean;
BEGIN
  IF pg_catalog.current_setting('transaction_isolation') ${NE} 'read committed' THEN
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
  END IF;
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  PERFORM pg_catalog.set_config('lock_timeout', '5s', true);
  IF home IS NULL THEN RAISE invalid_schema_name USING MESSAGE = 'no schema of the search path is there'; END IF;
  sessions := format('%I.%I', home, ${quoteLiteral(table.name)});${body}
  PERFORM pg_catalog.set_config('lock_timeout', patience, true);
  PERFORM pg_catalog.set_config('search_path', path, true);
END`)}`;

const companionOf = ({ names }: TableName, companion: "users" | "history"): string =>
  `format('%I.%I', home, ${quoteLiteral(names[companion])})`;

const hasAll = (columns: readonly Pick<Column, "name">[]): string =>
  columns
    .map(
      ({ name }) =>
        `EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(sessions) AND attname = '${name}' AND NOT attisdropped)`,
    )
    .join(" AND ");

/** SQL that says whether a column has the name of one of pgstore's but another type: it belongs to the application. */
const hasOthers = `EXISTS (
    SELECT FROM pg_attribute a JOIN (VALUES ${USER_COLUMNS.map(({ name, type }) => `('${name}', '${type}'::regtype)`).join(", ")}) v(name, type)
      ON a.attname = v.name WHERE a.attrelid = to_regclass(sessions) AND NOT a.attisdropped AND a.atttypid <> v.type)`;

/** Finds an index by its first column, whatever its name. */
const indexOf = ({
  column,
  where,
}: Index): string => `pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
      JOIN pg_class x ON x.oid = i.indexrelid
      WHERE i.indrelid = to_regclass(sessions) AND a.attname = '${column}'${where === undefined ? " AND i.indpred IS NULL" : ""}`;

const isBeingMade = "EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.relid = to_regclass(sessions))";
/**
 * Locks the table. It fails at once while an index is being created (55006), and the caller repeats it: a waiting lock would
 * hold up all later statements, and the transaction would hold up CREATE INDEX CONCURRENTLY.
 */
const lock = (mode: string): string => `
    IF ${isBeingMade} THEN RAISE object_in_use; END IF;
    BEGIN
      EXECUTE 'LOCK TABLE ' || sessions || ' IN ${mode} MODE';
    EXCEPTION WHEN lock_not_available THEN
      PERFORM pg_stat_clear_snapshot();
      IF ${isBeingMade} THEN RAISE object_in_use; END IF;
      RAISE;
    END;`;

/** Creates the table, its missing columns and its companion tables. */
function makeTables(table: TableName): string {
  // If another process creates the same at this moment, the statement waits and then fails, which is no error.
  const unlessMade = (statement: string, condition: string, isMade: string): string =>
    `BEGIN
      ${statement}
    EXCEPTION WHEN ${condition} OR unique_violation OR duplicate_object THEN IF NOT ${isMade} THEN RAISE; END IF; END;`;
  const hasHome = "(to_regnamespace(quote_ident(home)) IS NOT NULL)";
  const makeSchema = unlessMade("EXECUTE format('CREATE SCHEMA %I', home);", "duplicate_schema", hasHome);
  const all = [
    ...USER_COLUMNS.map((column) => ["sessions", column] as const),
    ...COMPANIONS.flatMap(({ table: companion, columns }) =>
      columns.map((column) => [companionOf(table, companion), column] as const),
    ),
  ];
  const missing = `
    SELECT v.* FROM (VALUES ${all.map(([tab, column]) => `(${tab}, '${column.name}', ${quoteLiteral(ddlOf(column))})`).join(",\n      ")}) v(tab, name, ddl)
    WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(v.tab) AND a.attname = v.name AND NOT a.attisdropped)`;
  // Each role that may write sessions needs these privileges, and so does the table's owner when another role migrates.
  const makeCompanion = ({ table: companion, columns: [key] }: (typeof COMPANIONS)[number]): string => {
    const name = companionOf(table, companion);
    return `
    IF to_regclass(${name}) IS NULL THEN
      EXECUTE 'CREATE TABLE ' || ${name} || ${quoteLiteral(` (${ddlOf(key)})`)};
      FOR role IN SELECT DISTINCT CASE w.id WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(w.id)) END
        FROM pg_class c, LATERAL (SELECT c.relowner UNION
          SELECT a.grantee FROM aclexplode(c.relacl) a WHERE a.privilege_type = 'INSERT') w(id)
        WHERE c.oid = to_regclass(sessions) AND w.id <> (SELECT oid FROM pg_roles WHERE rolname = current_user)
      LOOP EXECUTE 'GRANT SELECT, INSERT, UPDATE, DELETE ON ' || ${name} || ' TO ' || role; END LOOP;
    END IF;`;
  };
  return `
  ${table.schema === undefined ? "" : `IF NOT ${hasHome} THEN ${makeSchema} END IF;`}
  IF to_regclass(sessions) IS NULL THEN
    ${unlessMade(`EXECUTE 'CREATE TABLE ' || sessions || ${quoteLiteral(` (${SESSION_COLUMNS.map(ddlOf).join(", ")})`)};`, "duplicate_table", "(to_regclass(sessions) IS NOT NULL)")}
  END IF;
  SELECT pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(c.relnamespace, 'CREATE') INTO may
    FROM pg_class c WHERE c.oid = to_regclass(sessions);
  IF may AND ${hasAll(SESSION_COLUMNS)} AND NOT ${hasOthers} AND EXISTS (${missing}) THEN
    ${lock("ACCESS EXCLUSIVE")}${COMPANIONS.map(makeCompanion).join("")}
    FOR missing IN ${missing}
    LOOP EXECUTE 'ALTER TABLE ' || missing.tab || ' ADD COLUMN ' || missing.ddl; END LOOP;
  END IF;`;
}

/**
 * Creates the missing indexes. Meanwhile the table is locked against writes, but not against reads. An index whose
 * creation was interrupted is created again.
 */
function makeIndexes(): string {
  const make = (index: Index, condition: string): string => {
    const isThere = `EXISTS (SELECT FROM ${indexOf(index)} AND i.indisvalid)`;
    return `
  IF ${condition} AND NOT ${isThere} THEN
    ${lock("SHARE ROW EXCLUSIVE")}
    IF NOT ${isThere} THEN
      SELECT x.relname INTO broken FROM ${indexOf(index)} AND x.relkind = 'i' LIMIT 1;
      IF FOUND THEN EXECUTE format('REINDEX INDEX %I.%I', home, broken);
      ELSE EXECUTE format(${quoteLiteral(createIndex("%s", index))}, sessions);
      END IF;
    END IF;
  END IF;`;
  };
  const mayHaveUsers = `may AND ${hasAll(USER_COLUMNS)} AND NOT ${hasOthers}`;
  return `
  SELECT pg_has_role(c.relowner, 'USAGE') INTO may FROM pg_class c WHERE c.oid = to_regclass(sessions);${INDEXES.map(
    (index) => make(index, index.column === "expiry" ? hasAll([{ name: "expiry" }]) : mayHaveUsers),
  ).join("")}`;
}

/**
 * Returns the statements that create missing tables, columns and indexes. Any number of processes may run them at once:
 * one creates, the others wait. Another application's table is left unchanged. So is a table whose owner's rights this
 * role lacks, which works without users. No lock is taken when nothing is missing.
 */
export function migrationSql(table: TableName): string[] {
  return [block(table, makeTables(table)), block(table, makeIndexes())];
}
