import { EQ, GE, GT, LE, regclass } from "./catalog.ts";
import {
  dataInBounds,
  expiryText,
  fenceIn,
  instant,
  joinedBy,
  liveRow,
  millisecondsOf,
  outlivedRow,
} from "./fragments.ts";
import { endingStatements } from "./endings.ts";
import type { Layout } from "./layout.ts";
import { searchStatements } from "./search.ts";
import { figureStatements } from "./stats.ts";
import { quoteLiteral, type TableName } from "./table-name.ts";
import { userStatements } from "./user-statements.ts";

/** All statements of a store but those of the request path. */
export type Statements = ReturnType<typeof statementsFor>;

/** Makes the statements of a store. @param grace - milliseconds for which an ended session is remembered */
export function statementsFor(table: TableName, layout: Layout, grace: number) {
  return {
    ...tableStatements(table, layout, grace),
    ...userStatements(table),
    ...endingStatements(table, layout),
    ...searchStatements(table),
    ...figureStatements(table, layout, grace),
  };
}

/** The existing additions of `migrate`. Other processes may add or drop some. */
export interface Additions {
  /** The column for the user exists. */
  readonly owners: boolean;
  /** The columns for the user and the last activity exist. */
  readonly users: boolean;
  /** Both exist, and this role may update the column `last_seen`. */
  readonly seen: boolean;
  /** The history table exists. */
  readonly history: boolean;
}

/** Makes the statements about the table as a whole. @param grace - milliseconds for which an ended session is remembered */
export function tableStatements(name: TableName, layout: Layout, grace: number) {
  const table = name.quoted;
  const { token, data, expiry, typed } = layout;
  const live = liveRow(layout);
  const removable = `s.${expiry} ${LE} current_timestamp AND s.${expiry} ${GE} ${instant("$1::text")} AND ${typed} AND ${outlivedRow(layout, grace)}`;
  return {
    /** Returns the time and the additions of `migrate`. */
    probe: `SELECT ${millisecondsOf("current_timestamp")} AS now${layout.users ? `, ${additions(name)}` : ""}`,
    count: `SELECT pg_catalog.count(*)::text AS count FROM ${table} s WHERE ${live}`,
    /** Lists a page of the live rows by id. */
    all:
      `SELECT s.${token} AS token, ${dataInBounds(layout, `ORDER BY s.${token} `)} AS data, ${expiryText(layout)} AS expiry FROM (SELECT s.${token}, s.${data}, s.${expiry} ` +
      `FROM ${table} s WHERE s.${token} ${GT} $1::text AND ${live} ORDER BY s.${token} LIMIT $2::text::int) s ORDER BY s.${token}`,
    // One statement, so that the advisory lock needs no transaction. It starts where the last page ended: until a vacuum, the
    // index still holds the rows removed before. Locked rows stay for the next time. A row that was extended meanwhile no
    // longer matches when it is locked. While there is a fence, tombstones of renewals stay: its exceptions follow them.
    cleanUp:
      `WITH lead AS MATERIALIZED (SELECT CASE WHEN $3::text ${EQ} '' THEN true ELSE pg_catalog.pg_try_advisory_xact_lock(` +
      `pg_catalog.hashtext('pgstore'), pg_catalog.hashtext($3::text)) END AS leads, ${fenceIn(table, layout)} AS fence), ` +
      `page AS (SELECT s.${token} AS token, s.${expiry} AS expiry FROM ${table} s ` +
      `WHERE ((SELECT leads FROM lead) OR $4::text ${EQ} 'true') AND ${removable} ` +
      `AND ((SELECT fence FROM lead) IS NULL OR ${layout.successor} IS NULL) ` +
      `ORDER BY s.${expiry} LIMIT $2::text::int FOR UPDATE OF s SKIP LOCKED), ` +
      `gone AS (DELETE FROM ${table} s USING page WHERE ${joinedBy(token, "page.token")} RETURNING 1) ` +
      "SELECT (SELECT leads FROM lead)::text AS leads, (SELECT fence FROM lead) AS fence, (SELECT pg_catalog.count(*) FROM page)::text AS found, " +
      "(SELECT pg_catalog.count(*) FROM gone)::text AS gone, " +
      `${millisecondsOf("(SELECT pg_catalog.max(page.expiry) FROM page)::timestamptz")} AS last, ` +
      `(SELECT ${expiryText(layout)} FROM ${table} s WHERE ${removable} ORDER BY s.${expiry} LIMIT 1) AS oldest`,
  };
}

/** SQL of the columns of `Additions`. */
function additions(name: TableName): string {
  const table = regclass(quoteLiteral(name.quoted));
  // Columns of other types belong to the application.
  const has = (column: string, type: string): string =>
    `EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid ${EQ} ${table} AND NOT a.attisdropped ` +
    `AND a.attname ${EQ} '${column}' AND a.atttypid ${EQ} 'pg_catalog.${type}'::regtype)`;
  const owners = has("user_id", "text");
  const users = `(${owners} AND ${has("last_seen", "timestamptz")})`;
  return (
    `${owners}::text AS owners, ${users}::text AS users, ` +
    `(${users} AND pg_catalog.has_column_privilege(${table}, 'last_seen', 'UPDATE'))::text AS seen, ` +
    `(${regclass(quoteLiteral(name.history))} IS NOT NULL)::text AS history`
  );
}
