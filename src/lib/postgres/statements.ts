import { sha256 } from "../base/sha256.ts";
import type { Layout } from "./layout.ts";

/** An SQL text. */
export interface Statement {
  text: string;
  /**
   * What it may be called where the server keeps it prepared. Each text has a name of its own, so that no process of a
   * fleet finds another's statement under it. None: it runs too rarely for a plan that is kept.
   */
  name?: string;
}

/**
 * Every statement of the request path and of the cleanup, for one table.
 *
 * Each is a single statement keyed by token, so it needs no transaction and no connection of its own (PgBouncer's
 * transaction mode), and works on Citus. Parameters and results are text, whatever parsers the client has: tokens as they
 * are, bytes as base64, instants as milliseconds since 1970. Time is the database's: `current_timestamp`.
 *
 * What takes many rows takes an array for each column. The rows of a write come sorted by token and are joined in that
 * order, so that two of them don't deadlock.
 */
export interface Statements {
  find: Statement;
  /** For a token that is alone: no array to unpack and no join, which is a tenth of the time that it takes. */
  findOne: Statement;
  save: Statement;
  create: Statement;
  replace: Statement;
  touch: Statement;
  upsert: Statement;
  setExpiry: Statement;
  end: Statement;
  delete: Statement;
  renew: Statement;
  now: Statement;
  count: Statement;
  page: Statement;
  expired: Statement;
  deleteExpired: Statement;
}

/** The columns of a batch, in the order of its parameters. */
export const COLUMNS = {
  find: ["token"],
  save: ["token", "data", "expiry"],
  create: ["token", "data", "expiry"],
  replace: ["token", "previous", "data", "expiry"],
  touch: ["token", "expiry"],
  upsert: ["token", "data", "expiry"],
  setExpiry: ["token", "expiry"],
  end: ["token"],
  delete: ["token"],
} as const;

export type BatchKind = keyof typeof COLUMNS;

const millisecondsOf = (instant: string): string => `(extract(epoch from ${instant}) * 1000)::text`;
const instant = (text: string): string => `to_timestamp(${text}::float8 / 1000)`;
const rowsOf = (kind: BatchKind): string => {
  const arrays = COLUMNS[kind].map((_, index) => `$${index + 1}::text[]`);
  return `unnest(${arrays.join(", ")}) AS v(${COLUMNS[kind].join(", ")})`;
};

/**
 * Joins the table with the rows of a batch, in their order and by the primary key. The second condition always holds. It
 * makes the planner expect a single row, and so a nested loop, however large the table was when it made the plan. Of an
 * array it expects ten rows, and on a small table it would hash them and scan the table: the rows would be locked in the
 * table's order, and the plan kept while the table grows. (docs/decisions/007)
 */
const joinedBy = (token: string): string => `s.${token} = v.token AND (v.token || '') = v.token`;

/** @param table - quoted, with its schema if it has one */
export function statementsFor(table: string, layout: Layout): Statements {
  const { token, data, expiry, tombstone, ended, typed, write } = layout;
  const joined = joinedBy(token);
  const live = `s.${expiry} > current_timestamp AND ${layout.live}`;
  // A cast, as the column may have no time zone: then it is the connection's, as in the comparison.
  const expiryText = millisecondsOf(`s.${expiry}::timestamptz`);
  const found = `${layout.read(`s.${data}`)} AS data, ${expiryText} AS expiry`;
  const now = millisecondsOf("current_timestamp");
  const returning = `RETURNING s.${token} AS token`;
  const insert = (kind: "save" | "create" | "upsert"): string =>
    `INSERT INTO ${table} AS s (${token}, ${data}, ${expiry}) ` +
    `SELECT v.token, ${write("v.data")}, ${instant("v.expiry")} FROM ${rowsOf(kind)} ON CONFLICT (${token})`;
  const overwrite = `DO UPDATE SET ${data} = EXCLUDED.${data}, ${expiry} = EXCLUDED.${expiry}`;
  const update = (kind: BatchKind, changes: string, condition: string): string =>
    `UPDATE ${table} s SET ${changes} FROM ${rowsOf(kind)} WHERE ${joined} AND ${condition} ${returning}`;
  const texts = {
    // The time in a subquery, so that it is written out once, not for each row.
    find:
      `SELECT s.${token} AS token, ${found}, (SELECT ${now}) AS now FROM ${table} s, ${rowsOf("find")} ` +
      `WHERE ${joined} AND ${live}`,
    findOne: `SELECT ${found}, ${now} AS now FROM ${table} s WHERE s.${token} = $1::text AND ${live}`,
    save: `${insert("save")} ${overwrite} ${returning}, (${typed})::text AS typed`,
    create: `${insert("create")} DO NOTHING ${returning}, (${typed})::text AS typed`,
    replace: update(
      "replace",
      `${data} = ${write("v.data")}, ${expiry} = ${instant("v.expiry")}`,
      `s.${data} = ${write("v.previous")} AND ${live}`,
    ),
    touch: update("touch", `${expiry} = greatest(s.${expiry}, ${instant("v.expiry")})`, live),
    upsert: `${insert("upsert")} ${overwrite} WHERE NOT (${ended}) ${returning}, (${typed})::text AS typed`,
    setExpiry: update("setExpiry", `${expiry} = ${instant("v.expiry")}`, `${live} AND NOT (${ended})`),
    end: update("end", `${data} = ${tombstone}, ${expiry} = current_timestamp`, `NOT (${ended}) AND ${typed}`),
    delete: `DELETE FROM ${table} s USING ${rowsOf("delete")} WHERE ${joined} ${returning}`,
    // A taken new token fails on the primary key (23505), and the old row stays.
    renew:
      `WITH ended AS (DELETE FROM ${table} s WHERE s.${token} = $1::text AND s.${data} = ${write("$3::text")} AND ${live} RETURNING 1) ` +
      `INSERT INTO ${table} AS s (${token}, ${data}, ${expiry}) ` +
      `SELECT $2::text, ${write("$4::text")}, ${instant("$5::text")} FROM ended ${returning}`,
    now: `SELECT ${now} AS now`,
    count: `SELECT count(*)::text AS count FROM ${table} s WHERE ${live} AND NOT (${ended})`,
    page:
      `SELECT s.${token} AS token, ${found} FROM ${table} s ` +
      `WHERE s.${token} > $1::text AND ${live} ORDER BY s.${token} LIMIT $2::text::int`,
    // From where the last page ended: the index still holds what has been removed before it, until a vacuum.
    expired:
      `SELECT s.${token} AS token, ${expiryText} AS expiry FROM ${table} s ` +
      `WHERE s.${expiry} <= current_timestamp AND s.${expiry} >= ${instant("$1::text")} AND ${typed} ` +
      `AND ${outlived(expiry, ended, "$3")} ORDER BY s.${expiry} LIMIT $2::text::int`,
    // The condition again: a row of the page may have been extended since, or ended.
    deleteExpired:
      `DELETE FROM ${table} s USING ${rowsOf("delete")} WHERE ${joined} AND s.${expiry} <= current_timestamp ` +
      `AND ${outlived(expiry, ended, "$2")} ${returning}`,
  };
  return {
    find: prepared(texts.find),
    findOne: prepared(texts.findOne),
    save: prepared(texts.save),
    create: prepared(texts.create),
    replace: prepared(texts.replace),
    touch: prepared(texts.touch),
    upsert: prepared(texts.upsert),
    setExpiry: prepared(texts.setExpiry),
    end: prepared(texts.end),
    delete: prepared(texts.delete),
    renew: prepared(texts.renew),
    now: { text: texts.now },
    count: { text: texts.count },
    page: { text: texts.page },
    expired: { text: texts.expired },
    deleteExpired: { text: texts.deleteExpired },
  };
}

/** It is no tombstone, or an old one. @param grace - a parameter, milliseconds */
function outlived(expiry: string, ended: string, grace: string): string {
  return `(NOT (${ended}) OR s.${expiry} <= current_timestamp - ${grace}::text::float8 * interval '1 millisecond')`;
}

function prepared(text: string): Statement {
  return { text, name: `pgstore_${sha256(text).slice(0, 16)}` };
}
