import { sha256 } from "../base/sha256.ts";

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
  delete: Statement;
  renew: Statement;
  now: Statement;
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
  delete: ["token"],
} as const;

export type BatchKind = keyof typeof COLUMNS;

const millisecondsOf = (instant: string): string => `(extract(epoch from ${instant}) * 1000)::text`;
const bytes = (text: string): string => `decode(${text}, 'base64')`;
const instant = (text: string): string => `to_timestamp(${text}::float8 / 1000)`;
const rowsOf = (kind: BatchKind): string => {
  const arrays = COLUMNS[kind].map((_, index) => `$${index + 1}::text[]`);
  return `unnest(${arrays.join(", ")}) AS v(${COLUMNS[kind].join(", ")})`;
};

/**
 * True of every row, and there for what it takes to parse it: `@>` wants exactly timestamptz, the comparisons text and
 * bytea. On a column of another type the statement fails with 42883, undefined_function, before it does anything;
 * otherwise a timestamp without time zone would shift every expiry by the session's zone, and a text column would take
 * the bytes as text.
 */
const TYPED =
  "tstzrange(null, null) @> s.expiry AND s.data IS DISTINCT FROM null::bytea AND s.token IS DISTINCT FROM null::text";

/**
 * Joins the table with the rows of a batch, in their order and by the primary key. The second condition always holds. It
 * makes the planner expect a single row, and so a nested loop, however large the table was when it made the plan. Of an
 * array it expects ten rows, and on a small table it would hash them and scan the table: the rows would be locked in the
 * table's order, and the plan kept while the table grows. (docs/decisions/007)
 */
const JOINED = "s.token = v.token AND (v.token || '') = v.token";

/** @param table - quoted, with its schema if it has one */
export function statementsFor(table: string): Statements {
  const live = `s.expiry > current_timestamp AND ${TYPED}`;
  const found = `encode(s.data, 'base64') AS data, ${millisecondsOf("s.expiry")} AS expiry`;
  const now = millisecondsOf("current_timestamp");
  const insert = (kind: "save" | "create"): string =>
    `INSERT INTO ${table} AS s (token, data, expiry) ` +
    `SELECT v.token, ${bytes("v.data")}, ${instant("v.expiry")} FROM ${rowsOf(kind)} ON CONFLICT (token)`;
  const texts = {
    // The time in a subquery, so that it is written out once, not for each row.
    find: `SELECT s.token, ${found}, (SELECT ${now}) AS now FROM ${table} s, ${rowsOf("find")} WHERE ${JOINED} AND ${live}`,
    findOne: `SELECT ${found}, ${now} AS now FROM ${table} s WHERE s.token = $1::text AND ${live}`,
    save: `${insert("save")} DO UPDATE SET data = EXCLUDED.data, expiry = EXCLUDED.expiry RETURNING s.token, ${TYPED} AS typed`,
    create: `${insert("create")} DO NOTHING RETURNING s.token, ${TYPED} AS typed`,
    replace:
      `UPDATE ${table} s SET data = ${bytes("v.data")}, expiry = ${instant("v.expiry")} FROM ${rowsOf("replace")} ` +
      `WHERE ${JOINED} AND s.data = ${bytes("v.previous")} AND ${live} RETURNING s.token`,
    touch:
      `UPDATE ${table} s SET expiry = greatest(s.expiry, ${instant("v.expiry")}) FROM ${rowsOf("touch")} ` +
      `WHERE ${JOINED} AND ${live} RETURNING s.token`,
    delete: `DELETE FROM ${table} s USING ${rowsOf("delete")} WHERE ${JOINED} RETURNING s.token`,
    // A taken new token fails on the primary key (23505), and the old row stays.
    renew:
      `WITH ended AS (DELETE FROM ${table} s WHERE s.token = $1::text AND s.data = ${bytes("$3::text")} AND ${live} RETURNING 1) ` +
      `INSERT INTO ${table} (token, data, expiry) SELECT $2::text, ${bytes("$4::text")}, ${instant("$5::text")} FROM ended RETURNING token`,
    now: `SELECT ${now} AS now`,
    page: `SELECT s.token, ${found} FROM ${table} s WHERE s.token > $1::text AND ${live} ORDER BY s.token LIMIT $2::text::int`,
    // From where the last page ended: the index still holds what has been removed before it, until a vacuum.
    expired:
      `SELECT s.token, ${millisecondsOf("s.expiry")} AS expiry FROM ${table} s ` +
      `WHERE s.expiry <= current_timestamp AND s.expiry >= ${instant("$1::text")} AND ${TYPED} ORDER BY s.expiry LIMIT $2::text::int`,
    // The condition again: a row of the page may have been extended since.
    deleteExpired:
      `DELETE FROM ${table} s USING ${rowsOf("delete")} WHERE ${JOINED} AND s.expiry <= current_timestamp ` +
      `RETURNING s.token`,
  };
  return {
    find: prepared(texts.find),
    findOne: prepared(texts.findOne),
    save: prepared(texts.save),
    create: prepared(texts.create),
    replace: prepared(texts.replace),
    touch: prepared(texts.touch),
    delete: prepared(texts.delete),
    renew: prepared(texts.renew),
    now: { text: texts.now },
    page: { text: texts.page },
    expired: { text: texts.expired },
    deleteExpired: { text: texts.deleteExpired },
  };
}

function prepared(text: string): Statement {
  return { text, name: `pgstore_${sha256(text).slice(0, 16)}` };
}
