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

// Both statements are PL/pgSQL. A statement of PL/pgSQL is looked up when it runs, so that after `BEGINNING` all of them see
// pg_catalog only; what comes before it names it. The tables are named with their schema, in `sessions` and the like.

const DECLARATIONS = (target: TableName): string => `
DECLARE
  path text := pg_catalog.current_setting('search_path');
  patience text := pg_catalog.current_setting('lock_timeout');
  home text := ${homeOf(target)};
  sessions text;
  role text;
  broken text;
  missing record;
  may boolean;`;

/** SQL of the schema that has the table, or would have it: where the search path leads, unless it is named. */
function homeOf({ quoted, schema }: TableName): string {
  if (schema !== undefined) return quoteLiteral(schema.name);
  return (
    `COALESCE((SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ` +
    `ON n.oid OPERATOR(pg_catalog.=) c.relnamespace ` +
    `WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(${quoteLiteral(quoted)})), current_schema)::text`
  );
}

/**
 * Where transactions keep the snapshot of their beginning by default, what another process has made while we waited would not
 * be there for us, and be made once more: so a new transaction begins that does not. Inside of the application's own
 * transaction that fails (2D000), and nothing has happened.
 *
 * Whoever holds a lock on the table for longer would have all that comes after us wait as well.
 */
const BEGINNING = ({ name }: TableName): string => `
BEGIN
  IF pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.<>) 'read committed' THEN
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
  END IF;
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  PERFORM pg_catalog.set_config('lock_timeout', '5s', true);
  IF home IS NULL THEN RAISE invalid_schema_name USING MESSAGE = 'no schema of the search path is there'; END IF;
  sessions := format('%I.%I', home, ${quoteLiteral(name)});`;

/** As they were, for an application that goes on with its own transaction. */
const END = `
  PERFORM pg_catalog.set_config('lock_timeout', patience, true);
  PERFORM pg_catalog.set_config('search_path', path, true);
END`;

const companionOf = ({ names }: TableName, companion: "users" | "history"): string =>
  `format('%I.%I', home, ${quoteLiteral(names[companion])})`;

const hasAll = (columns: readonly Pick<Column, "name">[]): string =>
  columns
    .map(
      ({ name }) =>
        `EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(sessions) AND attname = '${name}' AND NOT attisdropped)`,
    )
    .join(" AND ");

/** Columns of ours that are there as others, which are the application's. */
const hasOthers = `EXISTS (
    SELECT FROM pg_attribute a JOIN (VALUES ${USER_COLUMNS.map(({ name, type }) => `('${name}', '${type}'::regtype)`).join(", ")}) v(name, type)
      ON a.attname = v.name WHERE a.attrelid = to_regclass(sessions) AND NOT a.attisdropped AND a.atttypid <> v.type)`;

/** The index, whatever it is called: its first column tells. */
const indexOf = ({
  column,
  where,
}: Index): string => `pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
      JOIN pg_class x ON x.oid = i.indexrelid
      WHERE i.indrelid = to_regclass(sessions) AND a.attname = '${column}'${where === undefined ? " AND i.indpred IS NULL" : ""}`;

const isBeingMade = "EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.relid = to_regclass(sessions))";
/**
 * Locks the table. While an index is made it gives up at once (55006), to come again: a lock that waits would keep all that
 * comes after it waiting, and the transaction would keep a CREATE INDEX CONCURRENTLY waiting.
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

/** The table, what it lacks of columns, and its companions. */
function makeTables(table: TableName): string {
  // Another process may make it at this moment. We wait for it then, and find it there: it, or the type of a table's rows.
  const unlessMade = (statement: string, condition: string, isMade: string): string =>
    `BEGIN
      ${statement}
    EXCEPTION WHEN ${condition} OR unique_violation OR duplicate_object THEN IF NOT ${isMade} THEN RAISE; END IF; END;`;
  const hasHome = "(to_regnamespace(quote_ident(home)) IS NOT NULL)";
  const makeSchema =
    table.schema && unlessMade("EXECUTE format('CREATE SCHEMA %I', home);", "duplicate_schema", hasHome);
  const all = [
    ...USER_COLUMNS.map((column) => ["sessions", column] as const),
    ...COMPANIONS.flatMap(({ table: companion, columns }) =>
      columns.map((column) => [companionOf(table, companion), column] as const),
    ),
  ];
  const missing = `
    SELECT v.* FROM (VALUES ${all.map(([tab, column]) => `(${tab}, '${column.name}', ${quoteLiteral(ddlOf(column))})`).join(",\n      ")}) v(tab, name, ddl)
    WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(v.tab) AND a.attname = v.name AND NOT a.attisdropped)`;
  // Whoever may write sessions must be able to write these: the owner of the table as well, if somebody else migrates it.
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
  return `${DECLARATIONS(table)}${BEGINNING(table)}
  ${makeSchema === undefined ? "" : `IF NOT ${hasHome} THEN ${makeSchema} END IF;`}
  IF to_regclass(sessions) IS NULL THEN
    ${unlessMade(`EXECUTE 'CREATE TABLE ' || sessions || ${quoteLiteral(` (${SESSION_COLUMNS.map(ddlOf).join(", ")})`)};`, "duplicate_table", "(to_regclass(sessions) IS NOT NULL)")}
  END IF;
  SELECT pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(c.relnamespace, 'CREATE') INTO may
    FROM pg_class c WHERE c.oid = to_regclass(sessions);
  IF may AND ${hasAll(SESSION_COLUMNS)} AND NOT ${hasOthers} AND EXISTS (${missing}) THEN
    ${lock("ACCESS EXCLUSIVE")}${COMPANIONS.map(makeCompanion).join("")}
    FOR missing IN ${missing}
    LOOP EXECUTE 'ALTER TABLE ' || missing.tab || ' ADD COLUMN ' || missing.ddl; END LOOP;
  END IF;${END}`;
}

/**
 * The indexes. While one is made the table is locked against writing, but not against reading. One that somebody began to make
 * and broke off is made anew.
 */
function makeIndexes(table: TableName): string {
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
  const conditions = { expiry: hasAll([{ name: "expiry" }]), user_id: mayHaveUsers, tags: mayHaveUsers };
  return `${DECLARATIONS(table)}${BEGINNING(table)}
  SELECT pg_has_role(c.relowner, 'USAGE') INTO may FROM pg_class c WHERE c.oid = to_regclass(sessions);${INDEXES.map(
    (index) => make(index, conditions[index.column]),
  ).join("")}${END}`;
}

/**
 * SQL that creates what is missing, in statements that may run one after the other at any time, in any number of processes:
 * one creates, the others wait and find it done. A table that is not ours is left as it is, and so is one of whose owner the
 * role is none: it does without users. Where nothing is missing nothing is locked.
 */
export function migrationSql(table: TableName): string[] {
  return [makeTables(table), makeIndexes(table)].map((body) => `DO ${quoteLiteral(body)}`);
}
