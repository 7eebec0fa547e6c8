import { MAX_EXPIRED } from "../../core/stats.ts";
import { EQ, GE, GT, LE, leavesOf, LT, MINUS, NE, OVER, PLUS, regclass, ROWS, TIMES, unlessEmpty } from "./catalog.ts";
import { quoteLiteral, type TableName } from "./table-name.ts";
import type { Layout } from "./layout.ts";
import { countRemovable } from "./operator.ts";
import { instant, liveRow, millisecondsOf } from "./fragments.ts";

/** Bounds of the histogram of expiries, in milliseconds from now. */
export const WITHIN = [1, 5, 15, 60, 6 * 60, 24 * 60, 7 * 24 * 60, 30 * 24 * 60].map((minutes) => minutes * 60_000);

/** Makes the statements for figures and history. @param grace - milliseconds for which an ended session is remembered */
export function figureStatements(table: TableName, layout: Layout, grace: number) {
  const { quoted, users, history } = table;
  const { expiry } = layout;
  const live = liveRow(layout);
  const name = quoteLiteral(quoted);
  const leaves = leavesOf(regclass(name));
  // Integers and numerics are written in full. The setting `extra_float_digits` shortens the text of a float.
  return {
    // In a partitioned table the leaves have the figures, each with its own estimate of the number of users.
    size:
      `SELECT ${ROWS} AS rows, pg_catalog.sum(pg_catalog.pg_relation_size(c.oid))::text AS heap, pg_catalog.sum(pg_catalog.pg_table_size(c.oid))::text AS bytes, ` +
      `pg_catalog.sum(pg_catalog.pg_indexes_size(c.oid))::text AS indexes, (SELECT p.n_distinct::float8::numeric::text FROM pg_catalog.pg_stats p ` +
      `JOIN pg_catalog.pg_namespace n ON n.nspname ${EQ} p.schemaname JOIN pg_catalog.pg_class l ON l.relnamespace ${EQ} n.oid AND l.relname ${EQ} p.tablename ` +
      `WHERE p.attname ${EQ} 'user_id' AND (l.oid ${EQ} ${regclass(name)} OR l.oid ${EQ} ANY (ARRAY(${leaves}))) ` +
      `ORDER BY p.inherited DESC LIMIT 1) AS different FROM pg_catalog.pg_class c WHERE c.oid ${EQ} ANY (ARRAY(${leaves}))`,
    backlog: countRemovable(table, layout, grace, MAX_EXPIRED),
    lastCleanup:
      `SELECT ${millisecondsOf("h.cleaned")} AS at, h.removed::text AS removed, h.took::text AS took FROM ${history} h ` +
      "WHERE h.cleaned IS NOT NULL ORDER BY h.at DESC LIMIT 1",
    history:
      `SELECT pg_catalog.floor(extract(epoch FROM h.at ${MINUS} ${instant("$1::text")}) ${TIMES} 1000 ${OVER} $2::text::float8)::int8::text AS n, ` +
      "pg_catalog.sum(h.created)::text AS created, pg_catalog.sum(h.ended)::text AS ended, pg_catalog.sum(h.removed)::text AS removed, " +
      "(pg_catalog.array_agg(h.live ORDER BY h.at DESC) FILTER (WHERE h.live IS NOT NULL))[1]::text AS live, " +
      "(pg_catalog.array_agg(h.users ORDER BY h.at DESC) FILTER (WHERE h.users IS NOT NULL))[1]::text AS users " +
      `FROM ${history} h WHERE h.at ${GE} ${instant("$1::text")} GROUP BY 1`,
    note:
      `INSERT INTO ${history} AS h (at, created, ended, removed, cleaned, took, live, users) ` +
      "SELECT pg_catalog.date_trunc('minute', current_timestamp), $1::text::bigint, $2::text::bigint, $3::text::bigint, " +
      `CASE WHEN $4::text ${NE} '' THEN current_timestamp END, (${unlessEmpty("$4::text")})::integer, ` +
      `(${unlessEmpty("$5::text")})::bigint, (${unlessEmpty("$6::text")})::bigint ` +
      `ON CONFLICT (at) DO UPDATE SET created = h.created ${PLUS} EXCLUDED.created, ` +
      `ended = h.ended ${PLUS} EXCLUDED.ended, removed = h.removed ${PLUS} EXCLUDED.removed, ` +
      "cleaned = COALESCE(EXCLUDED.cleaned, h.cleaned), " +
      "took = COALESCE(EXCLUDED.took, h.took), live = COALESCE(EXCLUDED.live, h.live), users = COALESCE(EXCLUDED.users, h.users)",
    forget: `DELETE FROM ${history} h WHERE h.at ${LT} (current_timestamp ${MINUS} interval '8 days')`,
    // A concurrent login locks the row and renews its time.
    pruneUsers:
      `WITH page AS (SELECT user_id FROM ${users} WHERE user_id ${GT} $1::text ORDER BY user_id LIMIT 1000), ` +
      `gone AS (DELETE FROM ${users} u USING page WHERE u.user_id ${EQ} page.user_id ` +
      `AND greatest(u.last_login, u.revoked) ${LT} (current_timestamp ${MINUS} interval '1 day') ` +
      `AND NOT EXISTS (SELECT FROM ${quoted} s WHERE s.user_id ${EQ} u.user_id)) ` +
      "SELECT pg_catalog.max(user_id) AS last, pg_catalog.count(*)::text AS count FROM page",
    /** Counts all rows, or a sample of a large table's pages, the same pages each time. */
    counted: (percent: number | undefined, hasUsers: boolean): string => {
      const lines = WITHIN.map(
        (within, n) =>
          `pg_catalog.count(*) FILTER (WHERE ${live} AND s.${expiry} ${LE} (current_timestamp ${PLUS} interval '${within / 1000} seconds'))::text AS within_${n}`,
      );
      if (hasUsers)
        lines.push(`pg_catalog.count(*) FILTER (WHERE ${live} AND s.user_id IS NOT NULL)::text AS logged_in`);
      // A sample says little about the number of different users.
      if (hasUsers && percent === undefined)
        lines.push(`pg_catalog.count(DISTINCT s.user_id) FILTER (WHERE ${live})::text AS users`);
      const sample = percent === undefined ? "" : `TABLESAMPLE SYSTEM (${percent}) REPEATABLE (0)`;
      return `SELECT pg_catalog.count(*) FILTER (WHERE ${live})::text AS live, ${lines.join(", ")} FROM ${quoted} s ${sample}`;
    },
  };
}
