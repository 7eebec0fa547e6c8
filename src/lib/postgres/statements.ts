/**
 * Every statement of the request path, for one table.
 *
 * Each is a single statement keyed by token, so it needs no transaction and no connection of its own (PgBouncer's
 * transaction mode), and works on Citus. Parameters and results are text, whatever parsers the client has: tokens as they
 * are, bytes as base64, instants as milliseconds since 1970. Time is the database's: `current_timestamp`.
 */
export interface Statements {
  find: string;
  save: string;
  delete: string;
  create: string;
  replace: string;
  renew: string;
  touch: string;
  now: string;
  page: string;
  expired: string;
  deleteExpired: string;
}

const millisecondsOf = (instant: string): string => `(extract(epoch from ${instant}) * 1000)::text`;
const bytes = (parameter: string): string => `decode(${parameter}::text, 'base64')`;
const instant = (parameter: string): string => `to_timestamp(${parameter}::text::float8 / 1000)`;

/**
 * True of every row, and there for what it takes to parse it: `@>` wants exactly timestamptz, the comparisons text and
 * bytea. On a column of another type the statement fails with 42883, undefined_function, before it does anything;
 * otherwise a timestamp without time zone would shift every expiry by the session's zone, and a text column would take
 * the bytes as text.
 */
const TYPED =
  "tstzrange(null, null) @> s.expiry AND s.data IS DISTINCT FROM null::bytea AND s.token IS DISTINCT FROM null::text";

/** @param table - quoted, with its schema if it has one */
export function statementsFor(table: string): Statements {
  const live = `s.expiry > current_timestamp AND ${TYPED}`;
  const row = `encode(s.data, 'base64') AS data, ${millisecondsOf("s.expiry")} AS expiry`;
  return {
    find: `SELECT ${row}, ${millisecondsOf("current_timestamp")} AS now FROM ${table} s WHERE s.token = $1::text AND ${live}`,
    save:
      `INSERT INTO ${table} AS s (token, data, expiry) VALUES ($1::text, ${bytes("$2")}, ${instant("$3")}) ` +
      `ON CONFLICT (token) DO UPDATE SET data = EXCLUDED.data, expiry = EXCLUDED.expiry RETURNING ${TYPED} AS done`,
    delete: `DELETE FROM ${table} s WHERE s.token = $1::text RETURNING 1 AS done`,
    create:
      `INSERT INTO ${table} AS s (token, data, expiry) VALUES ($1::text, ${bytes("$2")}, ${instant("$3")}) ` +
      `ON CONFLICT (token) DO NOTHING RETURNING ${TYPED} AS done`,
    replace:
      `UPDATE ${table} s SET data = ${bytes("$3")}, expiry = ${instant("$4")} ` +
      `WHERE s.token = $1::text AND s.data = ${bytes("$2")} AND ${live} RETURNING 1 AS done`,
    // A taken new token fails on the primary key (23505), and the old row stays.
    renew:
      `WITH ended AS (DELETE FROM ${table} s WHERE s.token = $1::text AND s.data = ${bytes("$3")} AND ${live} RETURNING 1) ` +
      `INSERT INTO ${table} (token, data, expiry) SELECT $2::text, ${bytes("$4")}, ${instant("$5")} FROM ended RETURNING 1 AS done`,
    touch:
      `UPDATE ${table} s SET expiry = greatest(s.expiry, ${instant("$2")}) ` +
      `WHERE s.token = $1::text AND ${live} RETURNING 1 AS done`,
    now: `SELECT ${millisecondsOf("current_timestamp")} AS now`,
    page: `SELECT s.token, ${row} FROM ${table} s WHERE s.token > $1::text AND ${live} ORDER BY s.token LIMIT $2::text::int`,
    expired: `SELECT s.token FROM ${table} s WHERE s.expiry <= current_timestamp AND ${TYPED} ORDER BY s.expiry LIMIT $1::text::int`,
    // The condition again: a row of the page may have been extended since.
    deleteExpired: `DELETE FROM ${table} s WHERE s.token = ANY($1::text[]) AND s.expiry <= current_timestamp RETURNING 1 AS done`,
  };
}
