import { EQ, GT, NE, regclass } from "./catalog.ts";
import { type Row, textOf } from "../drivers/driver.ts";
import type { Layout } from "./layout.ts";
import type { TableName } from "./table-name.ts";
import { COMPANIONS, type Column, SESSION_COLUMNS, setupSql, USER_COLUMNS } from "./tables.ts";
import { arrayText } from "./text-format.ts";

/** Runs a statement that may be repeated. `timeout`: milliseconds, if it may take longer than others. */
export type Query = (text: string, values: string[], timeout?: number) => Promise<Row[]>;

/** What is wrong with a table, and what to do about it. */
export interface Problem {
  readonly subject: "table" | "privileges" | "indexes" | "schema";
  /** A warning costs something, or lets others do something; an error keeps sessions from being stored or found. */
  readonly level: "error" | "warn";
  readonly text: string;
  readonly remedy: string;
}

const MIGRATE = "run store.migrate()";

const COLUMNS = `
  SELECT t.n::text AS n, a.attname::text AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
    a.attnotnull::text AS required, (a.atthasdef OR a.attidentity ${NE} '' OR a.attgenerated ${NE} '')::text AS filled,
    (EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid ${EQ} a.attrelid AND i.indisunique AND i.indisvalid
      AND i.indpred IS NULL AND i.indnkeyatts ${EQ} 1 AND i.indkey[0] ${EQ} a.attnum))::text AS unique,
    (EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid ${EQ} a.attrelid AND i.indisvalid
      AND (i.indpred IS NULL OR a.attname ${NE} 'expiry') AND i.indkey[0] ${EQ} a.attnum))::text AS indexed,
    pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')::text AS "select",
    pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'INSERT')::text AS "insert",
    pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'UPDATE')::text AS "update",
    pg_catalog.has_table_privilege(a.attrelid, 'DELETE')::text AS "delete", pg_catalog.quote_ident(current_user::text) AS me
  FROM ROWS FROM (pg_catalog.unnest($1::text[])) WITH ORDINALITY t(name, n)
  JOIN pg_catalog.pg_attribute a ON a.attrelid ${EQ} ${regclass("t.name")} AND a.attnum ${GT} 0 AND NOT a.attisdropped
  ORDER BY t.n, a.attnum`;
/** Indexes, and what two have in common that do the same work. One that is being made is not valid yet. */
const INDEXES = `
  SELECT i.indexrelid::regclass::text AS name, i.indisvalid::text AS valid, i.indisunique::text AS unique,
    (EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conindid ${EQ} i.indexrelid))::text AS bound,
    pg_catalog.concat_ws('|'::text, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text, x.relam::text,
      pg_catalog.pg_get_expr(i.indpred, i.indrelid), pg_catalog.pg_get_expr(i.indexprs, i.indrelid)) AS work
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid ${EQ} i.indexrelid
  WHERE i.indrelid ${EQ} ${regclass("$1::text")}
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid ${EQ} i.indexrelid)
  ORDER BY i.indexrelid`;
const OPEN_SCHEMAS = `
  SELECT pg_catalog.quote_ident(n.nspname::text) AS name FROM pg_catalog.pg_namespace n
  WHERE n.nspname ${EQ} ANY (pg_catalog.current_schemas(false))
    AND pg_catalog.has_schema_privilege('public'::name, n.oid, 'CREATE') ORDER BY 1`;

/** What of the columns is written after the row is there. `last_seen` may be left out. */
const UPDATED: Record<string, readonly string[]> = {
  users: ["last_login", "revoked"],
  history: ["created", "ended", "removed", "cleaned", "took", "live", "users"],
};

/**
 * Lists what is wrong with the tables, their indexes and the rights of this role. Changes nothing.
 *
 * @param only - "table": nothing but the tables, without a lock on one
 */
export async function diagnose(query: Query, table: TableName, layout: Layout, only?: "table"): Promise<Problem[]> {
  const names = [table.quoted, ...COMPANIONS.map((companion) => table[companion.table])];
  const rows = await query(COLUMNS, [arrayText(names)]);
  const [sessions = [], ...companions] = names.map((_, n) => rows.filter((row) => row["n"] === String(n + 1)));
  const problems = layout.users
    ? judgeTables(table, sessions, companions)
    : judgeForeign(table.quoted, sessions, [layout.token, layout.data, layout.expiry]);
  if (only === "table") return problems;
  if (sessions.length > 0) {
    problems.push(
      ...judgePrivileges(table.quoted, sessions, [layout.data, layout.expiry]),
      ...COMPANIONS.flatMap((companion, n) =>
        judgePrivileges(
          table[companion.table],
          layout.users ? (companions[n] ?? []) : [],
          UPDATED[companion.table] ?? [],
        ),
      ),
      ...judgeIndexes(table.quoted, await query(INDEXES, [table.quoted])),
    );
  }
  for (const { name } of await query(OPEN_SCHEMAS, [])) {
    problems.push({
      subject: "schema",
      level: "warn",
      text: `everybody may create tables and functions in schema ${name}, which is in the search path`,
      remedy: `REVOKE CREATE ON SCHEMA ${name} FROM PUBLIC`,
    });
  }
  return problems;
}

const named = (rows: Row[], name: string): Row | undefined => rows.find((row) => row["name"] === name);
const wrong = (text: string, remedy: string): Problem => ({ subject: "table", level: "error", text, remedy });

function judgeTables(table: TableName, sessions: Row[], companions: Row[][]): Problem[] {
  const { quoted } = table;
  if (sessions.length === 0) return [wrong(`table ${quoted} does not exist`, `${MIGRATE}, or ${setupSql(table)}`)];
  // Adding ours to a table of somebody else's would ruin it.
  if (["sid", "sess", "expire"].every((name) => named(sessions, name)) && !named(sessions, "token")) {
    const remedy =
      'leave it as it is, and say so by --layout connect-pg-simple, or by layout: "connect-pg-simple" of ExpressSessionStore';
    return [wrong(`table ${quoted} is one of connect-pg-simple`, remedy)];
  }
  if (!SESSION_COLUMNS.some(({ name }) => named(sessions, name))) {
    return [wrong(`table ${quoted} has no column token, data or expiry, so it is not one of pgstore`, "name another")];
  }
  const problems: Problem[] = [];
  for (const column of SESSION_COLUMNS) {
    const found = named(sessions, column.name);
    if (found === undefined) {
      const remedy = `ALTER TABLE ${quoted} ADD COLUMN ${column.name} ${column.type} NOT NULL`;
      problems.push(wrong(`table ${quoted} has no column ${column.name}`, remedy));
      continue;
    }
    problems.push(...judgeType(quoted, column, found));
    if (found["required"] !== "true") {
      const remedy = `ALTER TABLE ${quoted} ALTER COLUMN ${column.name} SET NOT NULL`;
      problems.push(wrong(`column ${column.name} of table ${quoted} may be null`, remedy));
    }
  }
  problems.push(...judgeKey(quoted, named(sessions, "token"), "token"));
  problems.push(...judgeIndexed(quoted, named(sessions, "expiry"), "expiry", `CREATE INDEX ON ${quoted} (expiry)`));
  problems.push(...judgeUsers(table, sessions, companions));
  for (const { name, required, filled } of sessions) {
    if (SESSION_COLUMNS.some((column) => column.name === name) || required !== "true" || filled === "true") continue;
    const text = `column ${name} of table ${quoted} is NOT NULL without a default`;
    problems.push(wrong(text, "give it one, pgstore can't fill it"));
  }
  return problems;
}

/** What `migrate` adds to SCS's table, which has none of it and does well without. */
function judgeUsers(table: TableName, sessions: Row[], companions: Row[][]): Problem[] {
  const { quoted } = table;
  const problems: Problem[] = [];
  const missing = USER_COLUMNS.filter(({ name }) => named(sessions, name) === undefined);
  for (const column of USER_COLUMNS) problems.push(...judgeType(quoted, column, named(sessions, column.name)));
  const [first] = missing;
  const companion = companions.findIndex((columns) => columns.length > 0);
  if (named(sessions, "user_id") !== undefined) {
    for (const { name } of missing) {
      problems.push(wrong(`table ${quoted} has a column user_id and no column ${name}`, MIGRATE));
    }
    for (const name of ["user_id", "tags"])
      problems.push(...judgeIndexed(quoted, named(sessions, name), name, MIGRATE));
  } else if (first !== undefined && companion >= 0) {
    const other = table[COMPANIONS[companion]?.table ?? "users"];
    problems.push(wrong(`table ${quoted} has no column ${first.name}, though there is a table ${other}`, MIGRATE));
  }
  for (const [n, { table: suffix, columns }] of COMPANIONS.entries()) {
    const name = table[suffix];
    const found = companions[n] ?? [];
    if (found.length === 0) {
      if (first === undefined) problems.push(wrong(`table ${name} does not exist`, MIGRATE));
      continue;
    }
    for (const column of columns) {
      const actual = named(found, column.name);
      if (actual === undefined) problems.push(wrong(`table ${name} has no column ${column.name}`, MIGRATE));
      problems.push(...judgeType(name, column, actual));
    }
    problems.push(...judgeKey(name, named(found, columns[0].name), columns[0].name));
  }
  return problems;
}

/** The table of another package. Nothing that would change it is advised, but for what it has itself. */
function judgeForeign(quoted: string, columns: Row[], names: readonly [string, string, string]): Problem[] {
  if (columns.length === 0) return [wrong(`table ${quoted} does not exist`, "name the one that the package has made")];
  const missing = names.filter((name) => named(columns, name) === undefined);
  if (missing.length > 0) return [wrong(`table ${quoted} has no column ${missing.join(", ")}`, "name another")];
  const [key, , expiry] = names;
  const slow = judgeIndexed(quoted, named(columns, expiry), expiry, `CREATE INDEX ON ${quoted} (${expiry})`);
  return [
    ...judgeKey(quoted, named(columns, key), key),
    ...slow.map((problem) => ({ ...problem, subject: "indexes", level: "warn" }) as const),
  ];
}

function judgeType(table: string, { name, type }: Column, found: Row | undefined): Problem[] {
  const actual = found?.["type"] ?? type;
  if (actual === type) return [];
  const remedy = `ALTER TABLE ${table} ALTER COLUMN ${name} TYPE ${type}`;
  return [wrong(`column ${name} of table ${table} is ${actual}, not ${type}`, remedy)];
}

function judgeKey(table: string, found: Row | undefined, name: string): Problem[] {
  if (found === undefined || found["unique"] === "true") return [];
  return [wrong(`column ${name} of table ${table} is not unique`, `ALTER TABLE ${table} ADD PRIMARY KEY (${name})`)];
}

function judgeIndexed(table: string, found: Row | undefined, name: string, remedy: string): Problem[] {
  if (found === undefined || found["indexed"] === "true") return [];
  return [wrong(`column ${name} of table ${table} has no index`, remedy)];
}

function judgePrivileges(table: string, columns: Row[], updated: readonly string[]): Problem[] {
  const ours = [...SESSION_COLUMNS, ...USER_COLUMNS, ...COMPANIONS.flatMap((companion) => companion.columns)];
  const used = columns.filter(
    ({ name }) => updated.includes(name ?? "") || ours.some((column) => column.name === name),
  );
  const lacking = ["SELECT", "INSERT", "UPDATE", "DELETE"].filter((privilege) =>
    used.some(
      (row) =>
        row[privilege.toLowerCase()] === "false" && (privilege !== "UPDATE" || updated.includes(textOf(row, "name"))),
    ),
  );
  if (lacking.length === 0) return [];
  const [me, privileges] = [textOf(columns[0], "me"), lacking.join(", ")];
  const text = `${me} lacks ${privileges} on table ${table}`;
  return [{ subject: "privileges", level: "error", text, remedy: `GRANT ${privileges} ON ${table} TO ${me}` }];
}

function judgeIndexes(table: string, indexes: Row[]): Problem[] {
  const problems: Problem[] = [];
  const valid = new Map<string, Row>();
  // A unique one does the work of one that is not.
  const rank = (index: Row): number => (index["unique"] === "true" ? 0 : 1);
  for (const index of indexes.toSorted((a, b) => rank(a) - rank(b))) {
    const { name, work } = index;
    const same = valid.get(work ?? "");
    if (index["valid"] !== "true") {
      problems.push({
        subject: "indexes",
        level: "error",
        text: `index ${name} of table ${table} is not valid: its making was interrupted, and it only costs`,
        remedy: `DROP INDEX CONCURRENTLY ${name}; then ${MIGRATE}`,
      });
    } else if (same === undefined) {
      valid.set(work ?? "", index);
    } else if (index["bound"] !== "true") {
      problems.push({
        subject: "indexes",
        level: "warn",
        text: `index ${name} of table ${table} does what ${textOf(same, "name")} does, and costs each write its time`,
        remedy: `DROP INDEX CONCURRENTLY ${name}`,
      });
    }
  }
  return problems;
}
