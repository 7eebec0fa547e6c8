import { FENCE_ID, sha256 } from "../../core/token.ts";
import { MAX_BATCH_BYTES } from "../execution/batch.ts";
import { CONCAT, EQ, GT, LT, MINUS, OVER, PLUS, TIMES } from "./catalog.ts";
import type { Layout } from "./layout.ts";
import { DETAIL_COLUMNS } from "./tables.ts";
import { MAX_INSTANT_MS, SEPARATOR, STATES, UNIT } from "./text-format.ts";

// Parts of SQL texts.

/** A text that runs too rarely to be kept prepared, or a prepared statement. */
export type Statement = string | Prepared;

export interface Prepared {
  text: string;
  /** Derived from the text: processes of different versions never share a name. */
  name: string;
}

/** Makes a prepared statement, named after its text. */
export function prepared(text: string): Prepared {
  return { text, name: `pgstore_${sha256(text).slice(0, 16)}` };
}

/** SQL of an instant as a text of milliseconds since 1970. */
export const millisecondsOf = (instant: string): string => `(extract(epoch from ${instant}) ${TIMES} 1000)::text`;
/** SQL of an instant, from a text of milliseconds since 1970. */
export const instant = (text: string): string => `pg_catalog.to_timestamp(${text}::float8 ${OVER} 1000)`;
/** SQL of the times of a session `s` and the details of its login. */
export const sessionColumns = [
  ...["created", "last_seen", "expiry"].map((name) => `${millisecondsOf(`s.${name}`)} AS ${name}`),
  ...DETAIL_COLUMNS.map((name) => `s.${name} AS ${name}`),
].join(", ");

/**
 * SQL that joins the table with other rows, such as those of a batch, in their order and by the primary key
 * (docs/decisions/007).
 *
 * The second condition always holds. It makes the planner expect a single row and choose a nested loop, regardless of the
 * table's size. It expects ten rows of an array, so on a small table it would hash them and scan the table: rows would be
 * locked in the table's order, and the plan kept while the table grows.
 */
export const joinedBy = (token: string, key = "v.token"): string =>
  `s.${token} ${EQ} ${key} AND (${key} ${CONCAT} '') ${EQ} ${key}`;

/** SQL that says whether a row `s` is a live session. */
export const liveRow = ({ expiry, ended, typed }: Layout): string =>
  `s.${expiry} ${GT} current_timestamp AND NOT ${ended} AND ${typed}`;

/** SQL that says whether a row `s` is a tombstone within its grace period. @param grace - milliseconds */
export const rememberedRow = ({ expiry, entombed }: Layout, grace: number): string =>
  `(${entombed} AND s.${expiry} ${GT} (current_timestamp ${MINUS} interval '${grace / 1000} seconds'))`;

/** SQL that makes a row a tombstone. @param tombstone - SQL of its data */
export const entomb = ({ data, expiry }: Layout, tombstone: string): string =>
  `${data} = ${tombstone}, ${expiry} = current_timestamp`;

/** SQL of queries that end the live sessions of a query `page`. The second, `ended`, returns their ids. */
export function endedPage(table: string, layout: Layout): string {
  const { token } = layout;
  const live = liveRow(layout);
  return (
    // The lock order of batches, to avoid deadlocks with them.
    `mine AS (SELECT s.${token} AS token FROM ${table} s JOIN page ON ${joinedBy(token, "page.token")} WHERE ${live} ` +
    `ORDER BY s.${token} COLLATE "C" FOR NO KEY UPDATE OF s), ` +
    `ended AS (UPDATE ${table} s SET ${entomb(layout, layout.revoked)} FROM mine ` +
    `WHERE ${joinedBy(token, "mine.token")} AND ${live} RETURNING s.${token} AS token)`
  );
}

/** SQL that says whether no row has an id. @param token - the column */
export const isFree = (table: string, token: string, value: string): string =>
  `NOT EXISTS (SELECT FROM ${table} taken WHERE taken.${token} ${EQ} ${value})`;

/** SQL that says whether an expired row `s` may be removed. @param grace - milliseconds */
export const outlivedRow = (layout: Layout, grace: number): string =>
  `NOT ${rememberedRow(layout, grace)}${layout.users ? ` AND NOT ${isFence("s")}` : ""}`;

/** SQL that says whether a row is the fence. Only SCS's table has one. @param alias - of the table */
export const isFence = (alias: string): string => `(${alias}.token ${EQ} '${FENCE_ID}'::text)`;

/** SQL of 'true' when there is a fence, otherwise of null. */
export const fenceIn = (table: string, layout: Layout): string =>
  layout.users ? `(SELECT 'true' FROM ${table} f WHERE ${isFence("f")})` : "NULL";

/** Half a microsecond, PostgreSQL's unit. More than a float's error in milliseconds since 1970 until the year 2106. */
const ROUNDING_MS = 0.0005;

/**
 * SQL of the expiry of a row `s`, rounded down to milliseconds since 1970. A column without time zone is read in the connection's zone, as in
 * comparisons.
 *
 * It is computed as a float, as "extract" makes a numeric, which costs the server a tenth of a look-up. It is written as an integer, because
 * the setting `extra_float_digits` shortens the text of a float. An integer holds no infinity, so that becomes the last instant of a Date.
 */
export const expiryText = ({ expiry }: Layout): string =>
  `pg_catalog.floor((least(greatest(pg_catalog.date_part('epoch', s.${expiry}::timestamptz) ${TIMES} 1000, ` +
  `'-${MAX_INSTANT_MS}'::float8), '${MAX_INSTANT_MS}'::float8) ${PLUS} ${ROUNDING_MS}))::int8::text`;

/** SQL of data, or of null for rows beyond the size limit of an answer, which are read again. */
export const dataInBounds = (layout: Layout, order = ""): string => {
  const size = layout.size(`s.${layout.data}`);
  return (
    `CASE WHEN (pg_catalog.sum(${size}) OVER (${order}ROWS UNBOUNDED PRECEDING) ${MINUS} ${size}) ${LT} ${MAX_BATCH_BYTES} ` +
    `THEN ${layout.read(`s.${layout.data}`)} END`
  );
};

/** SQL of an instant, from a text of microseconds since 1970. Exact, because places are compared by it. */
export const micros = (text: string): string =>
  `(timestamptz 'epoch' ${PLUS} (${text}::float8 ${TIMES} interval '1 microsecond'))`;

/** SQL of the text of an answer to look-ups (sql/text-format.ts). @param rows - a relation of n, expiry, ended and data */
export function foundText(rows: string): string {
  const state = `CASE WHEN ${rows}.ended THEN '${STATES.ended}' ELSE '${STATES.live}' END`;
  const content = `COALESCE((${state} ${CONCAT} ${rows}.data), '${STATES.deferred}')`;
  const row = [`${rows}.n::text`, codeUnit(UNIT), `${rows}.expiry`, codeUnit(UNIT), content].join(` ${CONCAT} `);
  return `pg_catalog.string_agg((${row}), ${codeUnit(SEPARATOR)})`;
}

/** SQL of a control character. */
function codeUnit(character: string): string {
  return `pg_catalog.chr(${character.charCodeAt(0)})`;
}
