import { FENCE_ID, sha256 } from "../../core/token.ts";
import { MAX_BATCH_BYTES } from "../execution/batch.ts";
import { CONCAT, EQ, GT, LT, MINUS, OVER, PLUS, TIMES } from "./catalog.ts";
import type { Layout } from "./layout.ts";

// What the SQL texts are made of.

/** An SQL text. */
export interface Statement {
  text: string;
  /**
   * What it may be called where the server keeps it prepared. Each text has a name of its own, so that no process of a
   * fleet finds another's statement under it. None: it runs too rarely for a plan that is kept.
   */
  name?: string;
}

/** A statement that the server keeps prepared, under a name of its own. */
export function prepared(text: string): Statement {
  return { text, name: `pgstore_${sha256(text).slice(0, 16)}` };
}

/** SQL of a text, milliseconds since 1970. */
export const millisecondsOf = (instant: string): string => `(extract(epoch from ${instant}) ${TIMES} 1000)::text`;
/** SQL of the instant that such a text says. */
export const instant = (text: string): string => `pg_catalog.to_timestamp(${text}::float8 ${OVER} 1000)`;
/**
 * Joins the table with the rows of a batch, in their order and by the primary key. The second condition always holds. It
 * makes the planner expect a single row, and so a nested loop, however large the table was when it made the plan. Of an
 * array it expects ten rows, and on a small table it would hash them and scan the table: the rows would be locked in the
 * table's order, and the plan kept while the table grows. (docs/decisions/007)
 */
export const joinedBy = (token: string, rows = "v"): string =>
  `s.${token} ${EQ} ${rows}.token AND (${rows}.token ${CONCAT} '') ${EQ} ${rows}.token`;

/** SQL that says whether a row `s` is a live session. */
export const liveRow = ({ expiry, ended, typed }: Layout): string =>
  `s.${expiry} ${GT} current_timestamp AND NOT ${ended} AND ${typed}`;

/** SQL that says of a row `s` whether it still tells that its session was ended. @param grace - milliseconds */
export const rememberedRow = ({ expiry, entombed }: Layout, grace: number): string =>
  `(${entombed} AND s.${expiry} ${GT} (current_timestamp ${MINUS} interval '${grace / 1000} seconds'))`;

/** SQL that makes a row a tombstone. @param tombstone - SQL of its data */
export const entomb = ({ data, expiry }: Layout, tombstone: string): string =>
  `${data} = ${tombstone}, ${expiry} = current_timestamp`;

/** SQL that says whether no row has a token. */
export const isFree = (table: string, token: string, value: string): string =>
  `NOT EXISTS (SELECT FROM ${table} taken WHERE taken.${token} ${EQ} ${value})`;

/** SQL that says of a row `s` that has expired whether it may be removed. */
export const outlivedRow = (layout: Layout, grace: number): string =>
  `NOT ${rememberedRow(layout, grace)}${layout.users ? ` AND NOT ${isFence(layout, "s")}` : ""}`;

/** SQL that says whether a row is the fence. @param alias - of the table */
export const isFence = ({ token }: Layout, alias: string): string => `(${alias}.${token} ${EQ} '${FENCE_ID}'::text)`;

/** SQL that says 'true' when there is a fence, and is null otherwise. */
export const fenceIn = (table: string, layout: Layout): string =>
  layout.users ? `(SELECT 'true' FROM ${table} f WHERE ${isFence(layout, "f")})` : "NULL";

/** SQL of the expiry of a row `s`. A cast, as the column may have no time zone: then it is the connection's, as in comparisons. */
export const expiryText = ({ expiry }: Layout): string => millisecondsOf(`s.${expiry}::timestamptz`);

/** SQL of a page's data and expiry. The rows beyond so many bytes come without their data, and are asked for again. */
export const foundInBounds = (layout: Layout, order = ""): string => {
  const size = layout.size(`s.${layout.data}`);
  return (
    `CASE WHEN (pg_catalog.sum(${size}) OVER (${order}ROWS UNBOUNDED PRECEDING) ${MINUS} ${size}) ${LT} ${MAX_BATCH_BYTES} ` +
    `THEN ${layout.read(`s.${layout.data}`)} END AS data, ${expiryText(layout)} AS expiry`
  );
};

/** SQL of an instant, from a text of microseconds since 1970: exactly, as places are compared by them. */
export const micros = (text: string): string =>
  `(timestamptz 'epoch' ${PLUS} (${text}::float8 ${TIMES} interval '1 microsecond'))`;
