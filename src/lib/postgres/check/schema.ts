import { type Query, type Row, textOf } from "../drivers/driver.ts";
import type { Layout } from "../sql/layout.ts";
import { OPEN_SCHEMAS, SCHEMA_COLUMNS, SCHEMA_INDEXES } from "../sql/operator.ts";
import type { TableName } from "../sql/table-name.ts";
import { COMPANIONS, type Column, SESSION_COLUMNS, setupSql, USER_COLUMNS } from "../sql/tables.ts";
import { arrayText } from "../sql/text-format.ts";
import { error, type Finding, warn } from "./finding.ts";

/** The migration as named in remedies. The command line replaces it with its own command. */
export const MIGRATE = "store.migrate()";
const RUN_MIGRATE = `run ${MIGRATE}`;

/**
 * Compares the tables, their indexes and this role's privileges with what pgstore needs. Changes nothing.
 *
 * @param only - "table": checks only the columns, and takes no lock on a table
 * @returns the problems, and whether the table has columns about users
 */
export async function checkSchema(
  query: Query,
  table: TableName,
  layout: Layout,
  only?: "table",
): Promise<{ problems: Finding[]; hasUsers: boolean }> {
  const names = [table.quoted, ...COMPANIONS.map((companion) => table[companion.table])];
  const rows = await query(SCHEMA_COLUMNS, [arrayText(names)]);
  const [sessions = [], ...companions] = names.map((_, n) => rows.filter((row) => row["n"] === String(n + 1)));
  const hasUsers = layout.users && named(sessions, "user_id") !== undefined;
  const problems = layout.users
    ? judgeTables(table, sessions, companions)
    : judgeForeign(table.quoted, sessions, [layout.token, layout.data, layout.expiry]);
  if (only === "table") return { problems, hasUsers };
  if (sessions.length > 0) {
    problems.push(
      ...judgePrivileges(table.quoted, sessions, [layout.data, layout.expiry]),
      // All columns of a companion but its key are updated.
      ...COMPANIONS.flatMap(({ table: companion, columns: [, ...updated] }, n) =>
        judgePrivileges(
          table[companion],
          layout.users ? (companions[n] ?? []) : [],
          updated.map(({ name }) => name),
        ),
      ),
      ...judgeIndexes(table.quoted, await query(SCHEMA_INDEXES, [table.quoted])),
    );
  }
  for (const { name } of await query(OPEN_SCHEMAS)) {
    const text = `every role may create tables and functions in schema ${name}, which is in the search path`;
    problems.push(warn("schema", text, `REVOKE CREATE ON SCHEMA ${name} FROM PUBLIC`));
  }
  return { problems, hasUsers };
}

/** Finds the problems of the tables, their indexes and this role's privileges, as `store.check()` lists them. */
export async function findProblems(query: Query, table: TableName, layout: Layout): Promise<Finding[]> {
  const { problems } = await checkSchema(query, table, layout);
  // Open schemas are no problem of the tables: PostgreSQL 14 has one in every new database. `diagnose` warns of them.
  return problems.filter(({ subject }) => subject !== "schema");
}

/** Writes a problem as a sentence that ends with its remedy. */
export const sentenceOf = ({ text, remedy }: Finding): string => `${text}: ${remedy}`;

const named = (rows: Row[], name: string): Row | undefined => rows.find((row) => row["name"] === name);
const wrong = (text: string, remedy: string): Finding => error("table", text, remedy);

function judgeTables(table: TableName, sessions: Row[], companions: Row[][]): Finding[] {
  const { quoted } = table;
  if (sessions.length === 0) return [wrong(`table ${quoted} does not exist`, `${RUN_MIGRATE}, or ${setupSql(table)}`)];
  // Adding pgstore's columns would ruin another package's table.
  if (["sid", "sess", "expire"].every((name) => named(sessions, name)) && !named(sessions, "token")) {
    const remedy =
      'leave it unchanged, and pass --layout connect-pg-simple, or layout: "connect-pg-simple" to ExpressSessionStore';
    return [wrong(`table ${quoted} belongs to connect-pg-simple`, remedy)];
  }
  if (!SESSION_COLUMNS.some(({ name }) => named(sessions, name))) {
    return [
      wrong(`table ${quoted} has no column token, data or expiry, so pgstore did not create it`, "name another table"),
    ];
  }
  const problems: Finding[] = [];
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
  problems.push(...judgeRequired(quoted, sessions, SESSION_COLUMNS));
  return problems;
}

/** Judges the columns, indexes and tables that `migrate` adds. An SCS table has none of them, and needs none. */
function judgeUsers(table: TableName, sessions: Row[], companions: Row[][]): Finding[] {
  const { quoted } = table;
  const problems: Finding[] = [];
  const missing = USER_COLUMNS.filter(({ name }) => named(sessions, name) === undefined);
  for (const column of USER_COLUMNS) problems.push(...judgeType(quoted, column, named(sessions, column.name)));
  const [first] = missing;
  const companion = companions.findIndex((columns) => columns.length > 0);
  if (named(sessions, "user_id") !== undefined) {
    for (const { name } of missing) {
      problems.push(wrong(`table ${quoted} has a column user_id and no column ${name}`, RUN_MIGRATE));
    }
    for (const name of ["user_id", "tags"])
      problems.push(...judgeIndexed(quoted, named(sessions, name), name, RUN_MIGRATE));
  } else if (first !== undefined && companion >= 0) {
    const other = table[COMPANIONS[companion]?.table ?? "users"];
    problems.push(wrong(`table ${quoted} has no column ${first.name}, though there is a table ${other}`, RUN_MIGRATE));
  }
  for (const [n, { table: suffix, columns }] of COMPANIONS.entries()) {
    const name = table[suffix];
    const found = companions[n] ?? [];
    if (found.length === 0) {
      if (first === undefined) problems.push(wrong(`table ${name} does not exist`, RUN_MIGRATE));
      continue;
    }
    for (const column of columns) {
      const actual = named(found, column.name);
      if (actual === undefined) problems.push(wrong(`table ${name} has no column ${column.name}`, RUN_MIGRATE));
      problems.push(...judgeType(name, column, actual));
    }
    problems.push(...judgeKey(name, named(found, columns[0].name), columns[0].name));
    // A user's row has either time or both.
    problems.push(...judgeRequired(name, found, suffix === "users" ? [columns[0]] : columns));
  }
  return problems;
}

/** Judges another package's table. Advises only changes that the package makes itself. */
function judgeForeign(quoted: string, columns: Row[], names: readonly [string, string, string]): Finding[] {
  if (columns.length === 0) return [wrong(`table ${quoted} does not exist`, "name the table that the package created")];
  const missing = names.filter((name) => named(columns, name) === undefined);
  if (missing.length > 0) return [wrong(`table ${quoted} has no column ${missing.join(", ")}`, "name another table")];
  const [key, , expiry] = names;
  const slow = judgeIndexed(quoted, named(columns, expiry), expiry, `CREATE INDEX ON ${quoted} (${expiry})`);
  return [
    ...judgeKey(quoted, named(columns, key), key),
    ...slow.map((problem) => ({ ...problem, subject: "indexes", severity: "warn" }) as const),
  ];
}

function judgeType(table: string, { name, type }: Column, found: Row | undefined): Finding[] {
  const actual = found?.["type"] ?? type;
  if (actual === type) return [];
  const remedy = `ALTER TABLE ${table} ALTER COLUMN ${name} TYPE ${type}`;
  return [wrong(`column ${name} of table ${table} is ${actual}, not ${type}`, remedy)];
}

/** @param written - the columns that each insert fills */
function judgeRequired(table: string, found: Row[], written: readonly Column[]): Finding[] {
  return found.flatMap(({ name, required, filled }) => {
    if (written.some((column) => column.name === name) || required !== "true" || filled === "true") return [];
    const text = `column ${name} of table ${table} is NOT NULL without a default`;
    return [wrong(text, "give it a default, as pgstore does not fill it")];
  });
}

function judgeKey(table: string, found: Row | undefined, name: string): Finding[] {
  if (found === undefined || found["unique"] === "true") return [];
  return [wrong(`column ${name} of table ${table} is not unique`, `ALTER TABLE ${table} ADD PRIMARY KEY (${name})`)];
}

function judgeIndexed(table: string, found: Row | undefined, name: string, remedy: string): Finding[] {
  if (found === undefined || found["indexed"] === "true") return [];
  return [wrong(`column ${name} of table ${table} has no index`, remedy)];
}

/** Judges this role's privileges. @param updated - the columns that are updated after the row was inserted. `last_seen` is optional */
function judgePrivileges(table: string, columns: Row[], updated: readonly string[]): Finding[] {
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
  return [error("privileges", text, `GRANT ${privileges} ON ${table} TO ${me}`)];
}

function judgeIndexes(table: string, indexes: Row[]): Finding[] {
  const problems: Finding[] = [];
  const valid = new Map<string, Row>();
  // A unique index also does the work of one that isn't.
  const rank = (index: Row): number => (index["unique"] === "true" ? 0 : 1);
  for (const index of indexes.toSorted((a, b) => rank(a) - rank(b))) {
    const { name, work } = index;
    const same = valid.get(work ?? "");
    if (index["valid"] !== "true") {
      const text = `index ${name} of table ${table} is not valid, because its creation was interrupted. It is never used and slows down writes`;
      problems.push(error("indexes", text, `DROP INDEX CONCURRENTLY ${name}; then ${RUN_MIGRATE}`));
    } else if (same === undefined) {
      valid.set(work ?? "", index);
    } else if (index["bound"] !== "true") {
      const text = `index ${name} of table ${table} duplicates ${textOf(same, "name")} and slows down writes`;
      problems.push(warn("indexes", text, `DROP INDEX CONCURRENTLY ${name}`));
    }
  }
  return problems;
}
